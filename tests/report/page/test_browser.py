"""The page in a browser that is installed: what its scripts do to the table, the plot and the
address.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archbench.records import Metric, Record
from archbench.report.page.page import Contents, page

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
ERRORS = 'const found = []; addEventListener("error", (event) => found.push(event.message));'
CLICK = """
  for (let click = 0; click < 4; click += 1) {
    const rows = [...document.querySelectorAll("#records-table tbody th")];
    const names = rows.map((row) => row.textContent.split(",")[0]);
    const head = document.querySelector('th[title="latency_ms"]');
    found.push([names, head.ariaSort]);
    head.querySelector("button").click();
  }
"""
LOOK = """
  const texts = (selector) => [...document.querySelectorAll(selector)].map((each) => each.textContent.trim());
  const set = (id, value, type = "change") => {
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event(type));
  };
  const press = (key) => document.querySelector("#plot [tabindex]").dispatchEvent(new KeyboardEvent("keydown", { key }));
"""  # noqa: E501

DRAW = 'set("group", "backbone");'


def asked(records: list[Record], script: str, folder: Path, address: str = "") -> Any:
    """What a script finds in the page of records, opened at an address."""
    text = page(Contents(records, [], {}, "2025-01-02 03:04 UTC", "9.9"))
    shown = (
        'const shown = document.createElement("pre"); shown.textContent = JSON.stringify(found);'
        "document.body.replaceChildren(shown);"
    )
    inside = f"<script>{{ {ERRORS} {script} {shown} }}</script>"
    # The page's policy lets no script run but its own.
    text = re.sub(r"<meta http-equiv[^>]*>", "", text).replace("</body>", f"{inside}</body>")
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'own'}"]
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, *flags, "--dump-dom", file.as_uri() + address],
        capture_output=True,
        text=True,
        timeout=120,
    )
    (found,) = re.findall("<pre>(.*)</pre>", done.stdout)
    return json.loads(html.unescape(found))


def timed(record: Callable[..., Record]) -> list[Record]:
    """Classifiers whose orders by total time and by forward time differ."""
    times = {"resnet18": (30.0, 50.0), "mobilenet": (9.0, 60.0), "resnet50": (200.0, 40.0)}
    return [
        record(
            name,
            None,
            counted={"params": int(1e6 * whole), "macs": int(1e9 * whole)},
            measured={"latency_ms": Metric(forward, "ms"), "total_ms": Metric(whole, "ms")},
            record_id=f"id-{name}",
        )
        for name, (forward, whole) in times.items()
    ]


@needs_browser
def test_a_click_sorts_rising_then_falling_then_not_and_what_is_missing_stays_last(
    record: Callable[..., Record], tmp_path: Path
) -> None:
    records = [*timed(record), record("vgg16", None, latency_ms=None)]
    assert asked(records, CLICK, tmp_path) == [
        [["resnet50", "resnet18", "mobilenet", "vgg16"], None],
        [["mobilenet", "resnet18", "resnet50", "vgg16"], "ascending"],
        [["resnet50", "resnet18", "mobilenet", "vgg16"], "descending"],
        [["resnet50", "resnet18", "mobilenet", "vgg16"], None],
    ]


@needs_browser
def test_the_address_keeps_the_filters_and_brings_them_back(
    record: Callable[..., Record], tmp_path: Path
) -> None:
    training = record("vgg16", None, record_id="id-vgg16")
    training = replace(training, spec=replace(training.spec, mode="train"))
    script = """
      const view = () => found.push([texts("#records-table tbody th").map((name) => name.split(",")[0]), location.hash]);
      view();
      set("query", "mobilenet", "input");
      view();
      document.getElementById("reset").click();
      view();
      set("x", "params");
      document.querySelector("[data-facet=mode]").value = "";
      document.querySelector("[data-facet=mode]").dispatchEvent(new Event("change"));
      view();
    """  # noqa: E501
    opened = asked(
        [*timed(record), training], LOOK + script, tmp_path, "#q=resnet&sort=-latency_ms"
    )
    assert opened == [
        [["resnet50", "resnet18"], "#q=resnet&sort=-latency_ms"],
        [["mobilenet"], "#q=mobilenet&sort=-latency_ms"],
        [["resnet50", "resnet18", "mobilenet"], "#sort=-latency_ms"],
        [["resnet50", "resnet18", "vgg16", "mobilenet"], "#mode=&x=params&sort=-latency_ms"],
    ]


@needs_browser
def test_a_column_without_values_sorts_nothing_and_the_page_goes_on(
    record: Callable[..., Record], tmp_path: Path
) -> None:
    script = """
      const view = () => found.push(texts("#records-table tbody th").map((name) => name.split(",")[0]));
      view();
      set("query", "mobilenet", "input");
      view();
      document.getElementById("reset").click();
      const box = document.querySelector('#columns input[name="reason"]');
      box.click();
      found.push(box.checked);
      document.querySelector('th[title="reason"] button').click();
      view();
      found.push(document.querySelector('th[title="reason"]').ariaSort);
    """  # noqa: E501
    every = ["resnet50", "resnet18", "mobilenet"]
    found = asked(timed(record), LOOK + script, tmp_path, "#sort=-gpu_ms")
    assert found == [every, ["mobilenet"], True, every, "ascending"]


@needs_browser
def test_the_plot_tells_points_by_keys_and_marks_those_that_are_chosen(
    record: Callable[..., Record], tmp_path: Path
) -> None:
    script = """
      const points = document.querySelectorAll("#plot .point").length;
      found.push([texts("#plot .axis"), texts("#plot .legend button"), points]);
      press("ArrowRight");
      found.push(texts("#plot .tip > *").slice(0, 3));
      press("Enter");
      found.push([texts("#plot .label"), texts("tr.marked th"), location.hash]);
      const ticks = texts("#plot text").filter((text) => !isNaN(text));
      found.push(ticks);
      document.querySelector("#plot .legend button").click();
      found.push(document.querySelectorAll("#plot .dim").length);
    """
    groups, first, chosen, ticks, dimmed = asked(
        timed(record), LOOK + DRAW + script, tmp_path, "#x-log=1&q=i"
    )
    assert groups == [
        ["multiply-adds (G)", "total time (ms)"],
        ["mobilenet", "resnet18", "resnet50"],
        3,
    ]
    assert first == ["resnet50, 224x224", "multiply-adds: 40.000 G", "total time: 40.00 ms"]
    marked = "#q=i&x-log=1&marked=id-resnet50"
    assert chosen == [["resnet50, 224x224"], ["resnet50, 224x224"], marked]
    assert "50" in ticks
    assert dimmed == 2


@needs_browser
def test_points_are_coloured_by_what_tells_them_apart(
    record: Callable[..., Record], tmp_path: Path
) -> None:
    counted = record("vgg16", None, settings=None, measured={}, environment={})
    look = 'found.push(document.getElementById("group").value);'
    assert asked([*timed(record), counted], look, tmp_path) == ["backbone"]


@needs_browser
def test_a_plot_of_one_point_and_of_none_has_no_error(
    record: Callable[..., Record], tmp_path: Path
) -> None:
    script = """
      set("query", "resnet18", "input");
      found.push(document.querySelectorAll("#plot .point").length);
      set("query", "nothing", "input");
      found.push(document.querySelectorAll("#plot .point").length, document.querySelectorAll("#plot svg").length);
      press("ArrowRight");
    """  # noqa: E501
    assert asked(timed(record), LOOK + script, tmp_path) == [1, 0, 1]
