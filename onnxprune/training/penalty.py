"""What training adds to its loss where it is to bring about something beside accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from onnxprune.torch_graph.module import OnnxModule


class Penalty(Protocol):
    """A term of the loss that depends on the weights alone, such as a group lasso.

    Where it has an attribute ``account``, a mapping that JSON can hold, that goes into the report and tells
    its checkpoints from those of other runs.
    """

    def __call__(self, module: OnnxModule, step: int, steps: int) -> Tensor:
        """The penalty, a scalar that can be differentiated.

        Args:
            module: being trained; ``initializer_names`` leads from constants of the file to parameters.
            step: of this call, from 0.
            steps: of the whole training.
        """
