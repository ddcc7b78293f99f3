"""The report as a page: complete, well formed, closed to the network and to hostile names."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from page_reader import Page, read_page
from reports import VERIFIED, layer, report

import onnxprune
from onnxprune.report import Report
from onnxprune.report.groups import GroupAccount
from onnxprune.report.html import html
from onnxprune.report.html.groups import MOST_NAMES, MOST_ROWS
from onnxprune.report.html.page import FEW
from onnxprune.report.scores import Histogram

FIXTURES = Path(__file__).parents[2] / "fixtures"

HOSTILE = {
    "markup": "</title></style></script><script>alert(1)</script><img src=x onerror=alert(2)>",
    "quotes": '"\'><b onmouseover="alert(1)" x=\'',
    "direction": "model\u202egnp.exe\u2066",
    "control": "a\x00b\x1b[31mc\td\ne\x85f",
    "template": "{{ 7 * 7 }}{% raw %}{# no #}",
    "comment": "--><!-- ]]> &amp; &lt; &#60;",
    "surrogate": "\udc80",
    "long": "x/" * 400,
}


@pytest.fixture(scope="module")
def pruned() -> Report:
    return onnxprune.prune(FIXTURES / "resnet_fashion.onnx", ratio=0.4, seed=1).report


@pytest.fixture(scope="module")
def page(pruned: Report) -> Page:
    return read_page(html(pruned))


def hostile(text: str) -> Report:
    """A report in which everything that comes out of files is this text."""
    rows = [layer(f"{text}{i}", op=text, weight=text, groups=(text,), reason=text) for i in range(3)]
    own = report(*rows, layer(f"{text}9", 8, 8, status="pinned", reason=text))
    members = {"filter": tuple(row.name for row in rows), "input": (text,), "other": (text,)}
    return replace(
        own,
        source={**own.source, "path": f"/tmp/{text}", "producer": text, "graph": text, "opset": {text: 1}},
        output={**own.output, "path": text, "flushed": [text]},
        settings={**own.settings, "include": [text], "layer_ratios": [[text, 0.5]]},
        groups=(GroupAccount(text, (64, 32), text, members),),
        scores={text: Histogram(0, 1, (0, 1), (1, 0), 0.5)},
        warnings=(text,),
        missed=(text,),
        versions={text: text},
        command=text,
        accuracy={text: {text: 0.5}, "note": text},
        latency={text: {"median_ms": 2.0}, "note": text},
        verification={"masked_equivalence": {**VERIFIED, "passed": False, "reason": text}},
        repair={"method": text, text: 1.5, "layers": [{"layer": text, text: text}]},
    )


PAGES = {
    "plain": report(),
    "empty": report(layers=(), totals=dict.fromkeys(report().totals, (0, 0))),
    "in memory": report(source={**report().source, "path": None}),
    **{name: hostile(text) for name, text in HOSTILE.items()},
}


@pytest.mark.parametrize("own", PAGES.values(), ids=PAGES)
def test_a_page_is_well_formed_and_needs_nothing_else(own: Report) -> None:
    text = html(own)
    found = read_page(text)
    ids = [element.attributes["id"] for element in found.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in found.elements:
        assert not [name for name in element.attributes if name.startswith("on")]
        for name in ("href", "src", "action", "srcset", "data"):
            target = element.attributes.get(name, "#main")
            assert target == "data:," or target.removeprefix("#") in ids, element
    assert not re.search(r"url\(|@import|https?://", found.one("style").text)
    assert not {"img", "iframe", "object", "embed", "base", "form"} & {e.tag for e in found.elements}


@pytest.mark.parametrize("own", PAGES.values(), ids=PAGES)
def test_the_only_script_is_the_one_that_the_policy_knows(own: Report) -> None:
    found = read_page(html(own))
    digest = b64encode(sha256(found.one("script").text.encode()).digest()).decode()
    policy = next(m.attributes["content"] for m in found.all("meta") if "http-equiv" in m.attributes)
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_names_are_shown_as_text_whatever_they_hold(text: str) -> None:
    source = html(hostile(text))
    found = read_page(source)
    shown = onnxprune.report.figures.printable(text)
    for element in found.elements:
        if element.tag not in ("style", "script"):
            assert all(c.isprintable() or c == "\n" for c in element.text), element.text
        assert all(c.isprintable() for value in element.attributes.values() for c in value)
    cells = [e for e in found.all("bdi") if e.text == shown or e.attributes.get("title") == shown]
    assert cells
    assert source.encode("utf-8").decode() == source


def test_every_layer_is_a_line_of_the_table(pruned: Report, page: Page) -> None:
    rows = [row for row in page.all("tr") if any("layers" in outer.classes for outer in row.inside)][1:]
    assert len(rows) == len(pruned.layers)
    for element, row in zip(rows, pruned.layers, strict=True):
        assert row.name in element.text
        assert row.reason in element.text
        for channels in row.channels:
            assert f"{channels:,}" in element.text


def test_every_group_is_in_the_list_and_on_the_map(pruned: Report, page: Page) -> None:
    for number, group in enumerate(pruned.groups, start=1):
        entry = page.one("li", id=f"group-{number}")
        for nodes in group.members.values():
            assert all(node in entry.text for node in nodes)
        assert page.all("a", href=f"#group-{number}", tabindex="-1")


def test_figures_are_those_of_the_report(page: Page) -> None:
    cards = [element.text for element in page.all("li") if "card" in element.classes]
    assert len(cards) == 4
    assert "383.5 k" in cards[0]
    assert "810" in cards[3]


def test_charts_are_named_or_silent(page: Page) -> None:
    for svg in page.all("svg"):
        silent = any(outer.attributes.get("aria-hidden") == "true" for outer in (*svg.inside, svg))
        assert silent or (svg.attributes["role"] == "img" and svg.attributes["aria-label"])


def test_tables_have_heads_and_headings_do_not_skip(page: Page) -> None:
    for table in page.all("table"):
        heads = [cell for cell in page.all("th") if table in cell.inside]
        assert {cell.attributes["scope"] for cell in heads} == {"col", "row"}
    levels = [int(e.tag[1]) for e in page.elements if re.fullmatch(r"h[1-6]", e.tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.one("html").attributes["lang"] == "en"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"missed": ("--macs 0.5x: too many",)}, "Missed--macs 0.5x: too many"),
        ({"warnings": ("mind this",)}, "Notemind this"),
        ({"verification": {}}, "Not verifiedas asked for with --no-verify"),
        ({"output": {**report().output, "written": False}}, "Not writtenno file was asked for"),
        ({"command": "onnxprune 'a b.onnx' --ratio 0.4"}, "onnxprune 'a b.onnx' --ratio 0.4"),
        ({"totals": {**report().totals, "params": (10, 10)}}, "unchanged"),
        ({"totals": {**report().totals, "params": (10, 20)}}, "2.00× more"),
    ],
)
def test_a_page_says_how_the_run_ended(changes: dict[str, Any], said: str) -> None:
    assert said in read_page(html(report(**changes))).one("body").text


def test_what_was_not_measured_has_no_section(page: Page) -> None:
    headings = {heading.text for heading in page.all("h2")}
    assert {"Layers", "Left whole", "Scores", "Groups"} <= headings
    assert not {"Accuracy", "Latency"} & headings


def test_a_repair_is_told_whatever_figures_it_has() -> None:
    rows = [{"layer": "first", "rank": 31, "condition": 2.5e6}, {"layer": "last", "drift": [0.5, 0.25]}]
    section = {"method": "lstsq", "samples": 512, "output_error": [0.52, 0.11], "layers": rows}
    found = read_page(html(report(repair=section)))
    text = found.one("body").text
    assert "Repair" in {heading.text for heading in found.all("h2")}
    assert all(said in text for said in ("lstsq", "output error", "0.52 → 0.11", "2 layers as a table"))
    cells = [row.text.strip() for row in found.all("tr") if row.inside[-2].classes == {"plain"}]
    assert cells == ["Layerrankconditiondrift", "first312.5e+06", "last0.5 → 0.25"]


def test_long_tables_are_folded_and_complete() -> None:
    rows = [layer(f"conv{i}", 64, 32) for i in range(FEW + 1)]
    found = read_page(html(report(*rows)))
    folded = found.all("details")[0]
    assert "open" not in folded.attributes
    assert all(row.name in folded.text for row in rows)
    assert "open" in read_page(html(report(*rows[:FEW]))).all("details")[0].attributes


def test_very_long_models_stay_readable() -> None:
    rows = [layer(f"conv{i}", groups=(f"g{i}",)) for i in range(MOST_ROWS + 10)]
    names = tuple(row.name for row in rows)
    groups = [GroupAccount(f"g{i}", (64, 32), "", {"filter": (f"conv{i}",)}) for i in range(len(rows))]
    groups[0] = GroupAccount("g0", (64, 32), "", {"filter": ("conv0",), "input": names[1:]})
    text = html(report(*rows, groups=tuple(groups)))
    found = read_page(text)
    assert len(found.all("a", tabindex="-1")) == MOST_ROWS
    assert "10 more groups in the list" in found.one("body").text
    assert f"and {len(names) - 1 - MOST_NAMES:,} more" in found.one("li", id="group-1").text
    assert len(text) < 1_000 * len(rows) + 60_000


def test_equal_reports_give_equal_pages(pruned: Report) -> None:
    again = onnxprune.prune(FIXTURES / "resnet_fashion.onnx", ratio=0.4, seed=1).report
    assert html(again) == html(pruned)


def test_text_is_readable_on_every_ground(page: Page) -> None:
    style = page.one("style").text
    palettes = re.findall(r"\{\s*(--paper.*?)color-scheme", style, re.DOTALL)
    assert len(palettes) == 4  # light, dark by the system, dark by the button, print
    assert palettes[1].split() == palettes[2].split()
    for text in palettes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6});", text))
        for ground in ("paper", "card"):
            for name in ("ink", "soft", "kept", "good", "bad", "note"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
            for name in ("cut", "whole"):
                assert contrast(colours[name], colours[ground]) >= 3, (name, ground)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours after WCAG 2."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
