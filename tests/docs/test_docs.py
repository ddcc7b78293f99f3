"""What the pages say is true: links lead somewhere, examples run, options exist, generated pages are current."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import onnxprune
from onnxprune.cli.app import VERBS
from onnxprune.criteria import known

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("fixtures/*.md")])
WITH_EXAMPLES = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
CALL = re.compile(r"^\s*(?:\$ )?(?:\S*/)?onnxprune(?= )(.*)$", re.MULTILINE)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A finished process of this interpreter that sees this checkout; wide, so that nothing is wrapped."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "300"}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=env,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@cache
def options_of(verb: str) -> frozenset[str]:
    """The options that the help of a verb lists; an empty verb prunes."""
    done = run("-m", "onnxprune", *verb.split(), "--help")
    assert done.returncode == 0, done.stderr
    listed = "\n".join(line for line in done.stdout.splitlines() if line.lstrip("│ ").startswith("-"))
    return frozenset(OPTION.findall(listed))


def slug(heading: str) -> str:
    """The anchor that a heading gets on GitHub."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return plain.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(h) for h in re.findall(r"^#+ (.*)$", FENCE.sub("", text_of(page)), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target} does not exist"
        assert found.is_relative_to(ROOT), f"{target} leads out of the repository"
        if anchor:
            assert anchor in anchors(found), f"{path or page.name} has no heading {anchor!r}"


def test_every_page_is_linked() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in LINK.findall(text_of(page))
    }
    orphans = [page for page in PAGES if page.resolve() not in linked and page != ROOT / "README.md"]
    assert not [name_of(page) for page in orphans if not listed(page)]


def listed(page: Path) -> bool:
    """Whether the index of its folder names the page; benchmarks write pages that may not be there yet."""
    index = page.with_name("README.md")
    return index.exists() and page.name in text_of(index)


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name_of)
def test_python_examples_run(page: Path, tmp_path: Path) -> None:
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    done = run(Path(__file__).with_name("run_page.py"), page, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_use_options_that_exist(page: Path) -> None:
    for line in CALL.findall(text_of(page)):
        words = line.split()
        verb = words[0] if words[0] in VERBS else ""
        unknown = set(OPTION.findall(line)) - options_of(verb)
        assert not unknown, f"onnxprune{line}: {', '.join(sorted(unknown))}"


def test_the_page_of_the_command_line_lists_every_option_and_no_other() -> None:
    exist = frozenset().union(*map(options_of, ("", *VERBS)))
    page = text_of(ROOT / "docs/cli.md")
    assert set(OPTION.findall(page)) == exist
    assert {verb.capitalize() for verb in VERBS} <= set(re.findall(r"^## (\w+)$", page, re.MULTILINE))


def test_the_page_of_the_report_names_every_key() -> None:
    report = onnxprune.prune(ROOT / "fixtures/mlp_fashion.onnx", ratio=0.4).report.to_dict()
    nested = [
        report,
        report["source"],
        report["output"],
        report["settings"],
        report["totals"],
        report["alignment"],
    ]
    nested += [report["layers"][0], report["settings"]["criterion"], report["verification"]]
    nested += [report["verification"]["masked_equivalence"], report["versions"], report["groups"][0]]
    nested += [report["groups"][0]["members"], next(iter(report["scores"].values()))]
    words = set(re.findall(r"\w+", text_of(ROOT / "docs/report.md")))
    assert not {key for keys in nested for key in keys} - words


def test_the_page_of_operators_is_current() -> None:
    done = run(ROOT / "docs/make_operators.py", "--check")
    assert done.returncode == 0, done.stderr or "run python docs/make_operators.py"


def test_every_criterion_has_a_page() -> None:
    done = run("-c", "from onnxprune.criteria import known; print(*known())")
    built_in = set(done.stdout.split())
    assert built_in <= set(known())
    overview = text_of(ROOT / "docs/criteria/README.md")
    for name in built_in:
        page = ROOT / f"docs/criteria/{name}.md"
        assert f"--criterion {name}" in text_of(page)
        assert f"]({page.name})" in overview
    assert {page.stem for page in (ROOT / "docs/criteria").glob("*.md")} - {"README"} == built_in


def test_the_version_is_the_same_everywhere() -> None:
    version = PROJECT["version"]
    assert onnxprune.__version__ == version
    assert re.search(rf"^## \[{re.escape(version)}\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)


def readme_commands() -> list[str]:
    """The commands that the README opens with, one a line."""
    first = re.search(
        r"^```(?:sh|bash|console)?\n(.*?)^```", text_of(ROOT / "README.md"), re.MULTILINE | re.DOTALL
    )
    assert first
    return [line for line in first[1].splitlines() if line and not line.startswith("#")]


def test_the_readme_opens_with_the_two_commands() -> None:
    tour, suite = readme_commands()
    for command in (tour, suite):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install")
    model = next(word for word in tour.split() if word.endswith(".onnx"))
    assert (ROOT / model).is_file()


def test_the_checks_run_the_second_command_to_the_letter() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert readme_commands()[1] in text_of(script)


def test_constraints_fit_the_ranges() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = [line for line in text_of(ROOT / "constraints.txt").splitlines() if not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["test"]]:
        wanted = Requirement(text)
        assert pinned[canonicalize_name(wanted.name)] in wanted.specifier, text
