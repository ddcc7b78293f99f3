"""Runs the Python examples of a Markdown page, in order and in one namespace; exits with 1 when one fails.

    python run_page.py PAGE.md

Examples with prompts are checked against the output that the page shows; the others have to run.
"""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run(page: Path) -> int:
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    failed = 0
    for found in FENCED.finditer(text):
        line = text.count("\n", 0, found.start(1))
        if ">>>" not in found[1]:
            exec(compile("\n" * line + found[1], str(page), "exec"), names)
            continue
        example = doctest.DocTestParser().get_doctest(found[1], names, page.name, str(page), line)
        failed += runner.run(example, clear_globs=False).failed
        names = example.globs
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
