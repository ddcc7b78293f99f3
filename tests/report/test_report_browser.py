"""The page in a real browser: it fits every screen, its script works, nothing else runs."""

from __future__ import annotations

import html as escaping
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from reports import layer, report
from sweeps import swept

from onnxprune.report.groups import GroupAccount
from onnxprune.report.html import Measure, Point, html, pareto, pareto_page
from onnxprune.report.html.sweep import sweep_page
from onnxprune.report.scores import Histogram

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
).split()
WIDTHS = (320, 390, 768, 1280)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed"),
]

EVIL = '"><img src=x onerror="document.documentElement.dataset.evil=1"><script>document.documentElement.dataset.evil=1</script>'

SCRIPT = """
addEventListener("load", () => {
  const results = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, root = page.documentElement;
    const own = results[frame.id] = { wide: root.scrollWidth, evil: root.dataset.evil ?? null };
    own.fetched = frame.contentWindow.performance.getEntriesByType("resource").length;
    own.ground = frame.contentWindow.getComputedStyle(page.body).backgroundColor;
    const theme = page.querySelector(".theme");
    own.theme = [theme.hidden, theme.textContent];
    theme.click();
    own.turned = frame.contentWindow.getComputedStyle(page.body).backgroundColor;
    const table = page.querySelector("#layer-table");
    if (!table) continue;
    const rows = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[1].textContent);
    const sorters = table.querySelectorAll("thead button");
    sorters[4].click();
    own.sorted = rows();
    own.order = table.tHead.rows[0].cells[4].ariaSort ?? table.tHead.rows[0].cells[4].getAttribute("aria-sort");
    sorters[4].click();
    own.turnedOrder = rows();
    const find = page.querySelector("input[type=search]");
    find.value = "GEMM last";
    find.dispatchEvent(new Event("input"));
    own.found = rows();
    own.folded = [...page.querySelectorAll("details")].map((d) => d.open);
    frame.contentWindow.dispatchEvent(new Event("beforeprint"));
    own.printed = [...page.querySelectorAll("details")].every((d) => d.open);
  }
  document.body.dataset.results = JSON.stringify(results);
});
"""


def long_names() -> str:
    """A page in which names, reasons and numbers are as wide as they come."""
    name = "/features/denseblock/denselayer/norm/" * 4
    rows = [
        layer(f"{name}{i}{EVIL}", 10_000_000, 9_999_999, groups=("g",), reason="why " * 40) for i in range(30)
    ]
    rows += [
        layer("first", 64, 8),
        layer("middle", 64, 48),
        layer("last", 10, 10, op="Gemm", status="pinned"),
    ]
    members = {"filter": tuple(row.name for row in rows)}
    groups = [GroupAccount(name, (10**7, 10**7 - 1), "", members) for name in ("g", name, *"abcdefghij" * 3)]
    return html(
        report(
            *rows,
            groups=tuple(groups),
            scores={group.name: Histogram(-1e-9, 1e9, (0, 1), (1, 0), 0.5) for group in groups},
            accuracy={stage: {"accuracy": 0.9, "log_loss": 1.0} for stage in ("before", "after_cut", name)},
            latency={"source": {"median_ms": 4.0, "p5_ms": 3.0, "p95_ms": 5.0}, "pruned": {"median_ms": 2.0}},
            command=f"onnxprune {name}.onnx",
            warnings=(name,),
        )
    )


def plot() -> str:
    points = [Point(f"ratio {i}", i, 90 - i) for i in range(9)]
    cost, quality = (
        Measure("MACs", "{:g} M".format, rises=False),
        Measure("accuracy", "{:g} %".format, rises=True),
    )
    return pareto_page([pareto(points, cost, quality, title="plot")], title="sweep", about="", version="1")


def opened(folder: Path, *flags: str) -> dict[str, Any]:
    """What the browser saw of the pages, by page and width."""
    sweep = sweep_page(swept(EVIL + "criterion" * 9, ways=20))
    pages = {"long": long_names(), "plot": plot(), "sweep": sweep}
    frames = "".join(
        f'<iframe id="{name}-{width}" style="width:{width}px;height:800px;border:0" '
        f'srcdoc="{escaping.escape(text)}"></iframe>'
        for name, text in pages.items()
        for width in WIDTHS
    )
    outer = folder / "outer.html"
    outer.write_text(
        f"<!doctype html><meta charset=utf-8>{frames}<script>{SCRIPT}</script>", encoding="utf-8"
    )
    command = [
        BROWSER or "",
        *FLAGS,
        *flags,
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        outer.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)
    found = re.search(r'data-results="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(escaping.unescape(found[1]))


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return opened(tmp_path_factory.mktemp("light"), "--blink-settings=preferredColorScheme=1")


def test_pages_fit_every_screen(light: dict[str, Any]) -> None:
    assert {name: own["wide"] for name, own in light.items()} == {
        f"{name}-{width}": width for name in ("long", "plot", "sweep") for width in WIDTHS
    }


def test_nothing_is_fetched_and_no_name_runs(light: dict[str, Any]) -> None:
    assert all(own["fetched"] == 0 and own["evil"] is None for own in light.values())


def test_the_theme_follows_the_system_and_the_button(light: dict[str, Any], tmp_path: Path) -> None:
    dark = opened(tmp_path, "--blink-settings=preferredColorScheme=0")
    for name, own in light.items():
        assert own["theme"] == [False, "Dark"]
        assert dark[name]["theme"] == [False, "Light"]
        assert (own["ground"], own["turned"]) == (dark[name]["turned"], dark[name]["ground"])
        assert own["ground"] != own["turned"]


def test_layers_can_be_sorted_and_found(light: dict[str, Any]) -> None:
    own = light["long-1280"]
    assert own["sorted"][:3] == ["first", "last", "middle"]
    assert own["order"] == "ascending"
    assert own["turnedOrder"][-3:] == ["middle", "last", "first"]
    assert own["found"] == ["last"]


def test_everything_is_unfolded_in_print(light: dict[str, Any]) -> None:
    own = light["long-1280"]
    assert False in own["folded"]
    assert own["printed"]
