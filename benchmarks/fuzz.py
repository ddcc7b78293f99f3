"""Hostile and odd inputs by the thousand: each ends in a verified result or in one clear error.

    python benchmarks/fuzz.py --inputs 20000 --record FILE [--workers 1] [--first 0] [--shared FOLDER]
    python benchmarks/fuzz.py --show NUMBER

A number stands for one input. FILE gets a line for every input that was run; the same command goes on where
it was stopped. ``--show`` runs one input, prints what came of it, and keeps its files. Writes
``docs/benchmarks/fuzz.md`` once all inputs are there, and exits with 1 where a run ended otherwise than
promised.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fuzzing import bases, processes
from fuzzing.cases import KINDS, ROUND, SEED, case
from fuzzing.outcome import CLEANED, GOOD, LARGE, MISSED, REFUSED, SHOWN, UNVERIFIED, VERIFIED, Outcome
from harness import table, write_page

COLUMNS = (VERIFIED, CLEANED, SHOWN, MISSED, UNVERIFIED, REFUSED)
REASONS = 25
PROMISE = (
    f"Each runs in a process of its own with {processes.MOST_SECONDS} s of processor time and "
    f"{processes.MOST_MEMORY >> 30} GiB of address space beyond what Python and its imports take; every "
    "1,000th also as a program of its own. Each has to end in a result that equals the masked source, or "
    "with exit code 2, one line that says what is wrong and one that says what to do. The input stays as "
    "it was, and nothing is left beside it."
)
COLUMNS_SAY = (
    "*verified*: cut, and equal to the masked source. *cleaned*: nothing to cut, equal to the source. "
    "*shown*: `inspect`. *missed*: verified, but a budget was out of reach, exit code 1. *unverified*: "
    "written, and the report says why it could not be compared. *refused*: exit code 2; for want of memory "
    f"only where the inputs are stated so large that a value has over {LARGE:,} elements a sample. "
    "*defects*: anything else. What such inputs have brought to light stays as a case of "
    "`tests/fuzz/test_found.py` or of `tests/model`."
)
APART = 1000
"""Every so many inputs one is also run as a program of its own, whose exit code has to be the same."""


def read(record: Path) -> dict[int, Outcome]:
    """What was run already, by number; a line that was cut short is left out."""
    found = {}
    for line in record.read_text().splitlines() if record.exists() else ():
        try:
            one = Outcome(**json.loads(line))
        except ValueError:
            continue
        found[one.number] = one
    return found


def work(numbers: Sequence[int], record: Path) -> None:
    """Run inputs one after the other; each leaves a line in the record."""
    with record.open("a") as file:
        for number in numbers:
            outcome = processes.outcome_of(number)
            if number % APART == 0 and outcome.is_good:
                outcome = _apart(outcome)
            file.write(json.dumps(asdict(outcome)) + "\n")
            file.flush()
            if not outcome.is_good:
                print(
                    f"{number}: {outcome.verdict}: {outcome.reason} [{outcome.kind}: {outcome.detail}]",
                    flush=True,
                )


def _apart(outcome: Outcome) -> Outcome:
    """The outcome, or the difference where a program of its own ends in another way."""
    drawn = case(outcome.number)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as made:
        folder = Path(made)
        for name, content in drawn.files.items():
            (folder / name).write_bytes(content)
        done = processes.run_apart(drawn.arguments, folder)
    expected = {REFUSED: (2,), MISSED: (1,), UNVERIFIED: (0, 1)}.get(outcome.verdict, (0,))
    if done.returncode in expected and b"Traceback" not in done.stderr:
        return outcome
    said = f"exits with {done.returncode}: {done.stderr[-300:]!r}"
    return Outcome(outcome.number, outcome.kind, "differs as a program", said, outcome.seconds, outcome.peak)


def run(numbers: Sequence[int], record: Path, workers: int) -> None:
    """Run inputs in several processes.

    Raises:
        RuntimeError: one of them died.
    """
    processes.prepare()
    bases.node_models()
    bases.real_paths()
    children = []
    for part in range(workers):
        child = os.fork()
        if not child:
            code = 1
            try:
                work(numbers[part::workers], record)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if failed:
        raise RuntimeError(f"{len(failed)} of {workers} processes died; the same command goes on")


def page(found: list[Outcome], first: int) -> None:
    """Write what came of the inputs."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        kinds[one.kind][one.verdict if one.is_good else "defects"] += 1
    rows = [
        [kind, sum(kinds[kind].values()), *(kinds[kind][verdict] or "" for verdict in (*COLUMNS, "defects"))]
        for kind in KINDS
    ]
    total = sum(kinds.values(), Counter())
    rows.append(["all", len(found), *(total[verdict] or "" for verdict in (*COLUMNS, "defects"))])
    reasons = Counter(
        one.reason.partition(": ")[0] if len(one.reason) > 110 else one.reason
        for one in found
        if one.verdict == REFUSED
    )
    slowest = sorted(found, key=lambda one: -one.seconds)[:5]
    largest = sorted(found, key=lambda one: -one.peak)[:5]
    defects = [one for one in found if not one.is_good]
    write_page(
        "fuzz",
        "Hostile and odd inputs",
        f"{len(found):,} inputs, numbers {first} to {first + len(found) - 1}, drawn with seed {SEED} in "
        f"rounds of {ROUND}. `python benchmarks/fuzz.py --show NUMBER` makes one of them again. {PROMISE}",
        COLUMNS_SAY,
        table(["kind", "inputs", *COLUMNS, "defects"], rows),
        "## Why inputs are refused\n\n" + _reasons(reasons),
        "## Time and memory\n\nProcessor time of an input: median "
        f"{_median([one.seconds for one in found]):.2f} s, all together "
        f"{sum(one.seconds for one in found) / 60:.0f} min. "
        "Peak memory includes what a process shares with the one it is forked from: Python, its imports, "
        "and the node models of onnx.\n\n"
        + table(
            ["slowest", "seconds", "kind", "verdict"],
            [[o.number, f"{o.seconds:.1f}", o.kind, o.verdict] for o in slowest],
        )
        + "\n\n"
        + table(
            ["most memory", "MB", "kind", "verdict"],
            [[o.number, f"{o.peak / 1e6:.0f}", o.kind, o.verdict] for o in largest],
        ),
        *([f"Defects: {', '.join(f'{one.number} ({one.verdict})' for one in defects)}."] if defects else []),
    )


def _reasons(reasons: Counter[str]) -> str:
    rows = [[f"{reason.replace('|', '/')}", count] for reason, count in reasons.most_common(REASONS)]
    rest = sum(reasons.values()) - sum(count for _, count in reasons.most_common(REASONS))
    return table(["reason", "inputs"], [*rows, [f"{max(0, len(reasons) - REASONS)} others", rest]])


def _median(numbers: list[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]


def show(number: int) -> None:
    """Run one input where its files can be looked at."""
    drawn = case(number)
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{number}-"))
    print(f"{drawn.kind}: {drawn.detail}\nonnxprune {' '.join(drawn.arguments)}\nin {folder / 'run'}")
    processes.prepare()
    print(processes.judged(drawn, folder))
    for name in processes.SAID:
        print((folder / name).read_text(errors="replace"), end="")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--record", type=Path, default=Path("fuzz.jsonl"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--show", type=int)
    parser.add_argument("--so-far", action="store_true", help="write the page of what is in the record")
    arguments = parser.parse_args()
    if arguments.show is not None:
        show(arguments.show)
        return 0
    wanted = range(arguments.first, arguments.first + arguments.inputs)
    done = read(arguments.record)
    todo = [number for number in wanted if number not in done]
    if arguments.so_far:
        wanted = range(arguments.first, todo[0] if todo else wanted.stop)
    elif todo:
        run(todo, arguments.record, arguments.workers)
        done = read(arguments.record)
    found = [done[number] for number in wanted]
    page(found, arguments.first)
    return 0 if all(one.verdict in GOOD for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
