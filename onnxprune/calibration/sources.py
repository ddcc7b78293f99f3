"""What every source of samples is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from onnxprune.calibration.labels import Labels
from onnxprune.calibration.model_inputs import ModelInput, classes_of, model_inputs
from onnxprune.calibration.steps import Preprocess, Steps
from onnxprune.calibration.tables import Column, Table
from onnxprune.errors import UsageError
from onnxprune.model import Model
from onnxprune.model.naming import quoted


@dataclass(frozen=True)
class Request:
    """What samples are wanted for.

    Attributes:
        model: that they are fed to.
        preprocess: what is done to them.
        count: how many are wanted, None for all.
        labels: whether labels are read.
    """

    model: Model
    preprocess: Preprocess
    count: int | None
    labels: Labels

    @cached_property
    def inputs(self) -> tuple[ModelInput, ...]:
        """The inputs that have to be fed."""
        return model_inputs(self.model)

    @cached_property
    def classes(self) -> int | None:
        """Number of classes, None where the model does not tell."""
        return classes_of(self.model)

    @cached_property
    def steps(self) -> Mapping[str, Steps]:
        """What is done for each input, by name.

        Raises:
            UsageError: steps for an input that does not exist, or for one of several that is not named.
        """
        names = [own.name for own in self.inputs]
        for name in self.preprocess.by_input:
            if name not in names:
                raise UsageError(
                    f"--preprocess has steps for {quoted(name)}, which is no input of the model.",
                    hint=f"Its inputs are {', '.join(names)}.",
                )
        found = {name: self.preprocess.by_input.get(name, Steps()) for name in names}
        if self.preprocess.common is not None:
            found[self._meant(names)] = self.preprocess.common
        return found

    def only_input(self, what: str) -> ModelInput:
        """The input of a model that has just one.

        Raises:
            UsageError: it has several.
        """
        if len(self.inputs) != 1:
            names = ", ".join(own.name for own in self.inputs)
            raise UsageError(
                f"{what} is for one input, and the model has {len(self.inputs)}: {names}.",
                hint="Give one array for each input, by name: an .npz file, or a function that gives a dict.",
            )
        return self.inputs[0]

    def _meant(self, names: list[str]) -> str:
        """The input that steps without a name are for."""
        rest = [own for own in self.inputs if own.name not in self.preprocess.by_input]
        if len(rest) > 1:
            rest = [own for own in rest if own.is_image]
        if len(rest) != 1:
            raise UsageError(
                f"--preprocess does not say which of the inputs it is for: {', '.join(names)}.",
                hint=f"Write a .toml file with a table for each, such as [{names[0]}], and give its name.",
            )
        return rest[0].name


@dataclass(frozen=True, eq=False)
class Source:
    """Samples that were found.

    Attributes:
        table: a column for each input.
        labels: their classes, None where there are none.
        name: what they are called in the report.
        in_memory: whether the table holds its rows already.
        images: whether rows are images, channels last, whose pixels need no more steps.
        missing_labels: why there are no labels, for those who need them.
        notes: what the user should know.
    """

    table: Table
    labels: Column | None
    name: str
    in_memory: bool = False
    images: bool = False
    missing_labels: str = ""
    notes: tuple[str, ...] = ()
