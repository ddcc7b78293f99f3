"""The trials of a sweep in a study of Optuna: who takes which, and what came out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from onnxprune.criteria.registry import choose
from onnxprune.errors import MissingExtraError, OutputError, UsageError
from onnxprune.sweep.process import Watch, beating, is_gone, myself
from onnxprune.sweep.shelf import GIVE_SWEEP, file_lock
from onnxprune.sweep.space import Config, Outcome, from_key

CONFIG, OUTCOME, REASON, DUPLICATE, OWNER, SIGN = (
    "config",
    "outcome",
    "reason",
    "duplicate",
    "owner",
    "beat",
)
"""Attributes of trials."""

GRID = "grid"
SAMPLERS: Mapping[str, str] = {
    GRID: "RandomSampler",  # asked for nothing: trials of a grid bring their way along
    "tpe": "TPESampler",
    "nsga2": "NSGAIISampler",
    "random": "RandomSampler",
}
"""How trials are chosen, and the class of Optuna that does it."""

_ATTEMPTS = 4


def check_sampler(name: str) -> None:
    """Refuse a sampler that there is not.

    Raises:
        UsageError: it is not known.
        MissingExtraError: Optuna is not installed.
    """
    choose("sampler", name, SAMPLERS)
    optuna()


def optuna() -> Any:
    """The library, kept from talking.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import optuna as library
    except ImportError as exc:
        raise MissingExtraError("A sweep needs Optuna, which is not installed.", hint=GIVE_SWEEP) from exc
    library.logging.set_verbosity(library.logging.ERROR)
    return library


def open_study(storage: str | None, folder: Path, name: str, directions: Sequence[str]) -> Any:
    """A study, made where it is not there yet.

    Args:
        storage: URL of a database, or path of a journal; None for a journal in the folder.
        folder: of the sweep.
        name: of the study.
        directions: ``minimize`` or ``maximize``, one a value.

    Raises:
        OutputError: the storage cannot be opened.
    """
    library = optuna()
    with file_lock(folder / "study.lock"):
        for left in reversed(range(_ATTEMPTS)):
            try:
                return library.create_study(
                    storage=_storage(library, storage, folder),
                    study_name=name,
                    directions=list(directions),
                    load_if_exists=True,
                )
            except Exception as exc:  # of whatever database it is; another machine may be making the tables
                if not left:
                    raise _unreachable(storage or str(folder), exc) from exc
                time.sleep(0.2 * (_ATTEMPTS - left))
    raise AssertionError


def _storage(library: Any, given: str | None, folder: Path) -> Any:
    if given is not None and "://" in given:
        arguments = {"connect_args": {"timeout": 60}} if given.startswith("sqlite") else {}
        return library.storages.RDBStorage(given, engine_kwargs=arguments)
    from optuna.storages.journal import JournalFileBackend

    # absolute: Optuna's lock is a link to it, and one left by a kill that leads nowhere is waited for forever
    path = (folder / "study.log" if given is None else Path(given)).absolute()
    _mend(path)
    return library.storages.JournalStorage(JournalFileBackend(str(path)))


def _mend(path: Path) -> None:
    """Take away half a line at the end of a journal, which a machine that lost its power may leave."""
    from optuna.storages.journal import JournalFileSymlinkLock

    if not path.exists() or _is_whole(path):
        return
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        if not _is_whole(path):
            content = path.read_bytes()
            with path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def _unreachable(where: str, exc: Exception) -> OutputError:
    first = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
    return OutputError(
        f"The study cannot be kept in {where!r}: {first}.",
        hint="Give --storage sqlite:///study.db, another URL of a database, or the path of a journal.",
    )


class Queue:
    """The trials of a study, as one process sees them.

    Of several trials of the same way the one with the lowest number counts, so that two machines that
    offer or choose the same at once do it once.

    Args:
        study: of Optuna.
        lock: file that keeps processes of this machine from offering the same twice.
    """

    def __init__(self, study: Any, lock: Path) -> None:
        self._study = study
        self._lock = lock
        self._states = optuna().trial.TrialState
        self._watch = Watch()
        self._me = myself()

    def outcomes(self) -> dict[str, Outcome]:
        """What is done, by key of the way."""
        done = (own for own in self._trials(self._states.COMPLETE) if DUPLICATE not in own.user_attrs)
        return {own.user_attrs[CONFIG]: json.loads(own.user_attrs[OUTCOME]) for own in done}

    def reasons(self) -> dict[str, str]:
        """What cannot be done and why, by key of the way."""
        refused = (own for own in self._trials(self._states.PRUNED) if REASON in own.user_attrs)
        return {own.user_attrs[CONFIG]: own.user_attrs[REASON] for own in refused}

    def running(self) -> int:
        """How many trials somebody works at."""
        return len({own.user_attrs[CONFIG] for own in self._trials(self._states.RUNNING)})

    def offer(self, configs: Iterable[Config]) -> None:
        """Put what is neither done nor in hand where every process finds it."""
        states = self._states
        with file_lock(self._lock):
            there = {own.user_attrs[CONFIG] for own in self._trials(states.WAITING, states.RUNNING)}
            there |= self.outcomes().keys() | self.reasons().keys()
            for config in configs:
                if config.key not in there:
                    self._study.enqueue_trial({}, user_attrs={CONFIG: config.key})

    def clear(self, configs: Iterable[Config]) -> None:
        """Take back what an earlier command has put there and this one does not ask for."""
        wanted = {config.key for config in configs}
        for own in self._trials(self._states.WAITING):
            if own.user_attrs[CONFIG] not in wanted:
                self._end(own.number, self._states.FAIL)

    def waiting(self) -> int:
        """How many trials are there to be taken."""
        return len(self._trials(self._states.WAITING))

    def ask(self) -> Any:
        """The next trial that waits, or a new one that the sampler chooses for."""
        trial = self._study.ask()
        trial.set_user_attr(OWNER, self._me)
        return trial

    def first(self, trial: Any, config: Config) -> bool:
        """Whether a trial is the one that does this way; if not it is ended."""
        states = self._states
        trial.set_user_attr(CONFIG, config.key)
        live = (states.WAITING, states.RUNNING, states.COMPLETE, states.PRUNED)
        before = [
            own
            for own in self._trials(*live)
            if own.number < trial.number
            and own.user_attrs[CONFIG] == config.key
            and DUPLICATE not in own.user_attrs
        ]
        if not before:
            return True
        trial.set_user_attr(DUPLICATE, before[0].number)
        if before[0].state == states.COMPLETE:  # samplers learn from it
            self._study.tell(trial, values=before[0].values)
        else:
            self._study.tell(trial, state=states.PRUNED)
        return False

    @contextmanager
    def working(self, trial: Any) -> Iterator[None]:
        """Give signs of life while a trial is worked at; whatever is raised lets others take it up."""
        try:
            with beating(lambda number: trial.set_user_attr(SIGN, number)):
                yield
        except BaseException:
            self.release(trial)
            raise

    def finish(self, trial: Any, outcome: Outcome, values: Sequence[float]) -> None:
        """A trial is done."""
        trial.set_user_attr(OUTCOME, json.dumps(outcome))
        with suppress(RuntimeError, ValueError):  # it counted as lost, and another process has done it
            self._study.tell(trial, values=list(values))

    def refuse(self, trial: Any, reason: str) -> None:
        """A trial has no result, and would have none if it was done again."""
        trial.set_user_attr(REASON, reason)
        with suppress(RuntimeError, ValueError):
            self._study.tell(trial, state=self._states.PRUNED)

    def release(self, trial: Any) -> None:
        """A trial was not done to its end."""
        with suppress(Exception):  # what interrupted it matters more
            self._study.tell(trial, state=self._states.FAIL)

    def collect(self) -> list[Config]:
        """End the trials of processes that are gone; returns what they worked at."""
        found = []
        for own in self._study.get_trials(deepcopy=False, states=(self._states.RUNNING,)):
            owner, sign = own.user_attrs.get(OWNER, ""), own.user_attrs.get(SIGN, 0)
            gone = is_gone(owner) or (owner != self._me and self._watch.lost(own.number, sign))
            if gone and self._end(own.number, self._states.FAIL) and CONFIG in own.user_attrs:
                found.append(from_key(own.user_attrs[CONFIG]))
        return found

    def retry(self, config: Config) -> None:
        """Let somebody take up what a process that is gone has begun."""
        self.offer([config])

    def _end(self, number: int, state: Any) -> bool:
        """End a trial that is not ours; False where somebody else just did."""
        try:
            self._study.tell(number, state=state)
        except (RuntimeError, ValueError):
            return False
        return True

    def _trials(self, *states: Any) -> list[Any]:
        found = self._study.get_trials(deepcopy=False, states=states)
        return [own for own in found if CONFIG in own.user_attrs]


def seeded(study: Any, name: str, seed: int) -> None:
    """Give a study a sampler that goes on where the trials so far have led it.

    One process that is stopped and started again chooses what it would have chosen.

    Args:
        study: of Optuna.
        name: of the sampler.
        seed: of the sweep.
    """
    library = optuna()
    trials = len(study.get_trials(deepcopy=False))
    study.sampler = getattr(library.samplers, SAMPLERS[name])(seed=seed + trials)


def check_trials(trials: int | None) -> None:
    """Refuse a number of trials that makes no sense.

    Raises:
        UsageError: below 1.
    """
    if trials is not None and trials < 1:
        raise UsageError(f"--trials {trials} is too small.", hint="Give 1 or more.")
