"""`archbench report` from outside: the file, exit codes, and in a browser what a reader does with
it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archbench.cli.main import run
from archbench.reasons import Status
from archbench.records import Metric, Record, Store
from archbench.settings import Settings
from archbench.spec import Spec
from archbench.zoo import catalogue

EVIL = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
NETWORKS = {"vovnet39": 20.0, "resnet50-v1": 30.0, "vgg16": 10.0, "densenet201": 40.0}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with networks on one device, one of them flagged and one with markup in its
    names.
    """
    folder = tmp_path / "results"
    specs = {
        catalogue.resolve(name, "refinedet320").spec: latency_ms
        for name, latency_ms in NETWORKS.items()
    }
    for spec, latency_ms in {
        **specs,
        Spec(EVIL, None, 224, 224, 1000, options=((EVIL, EVIL),)): 50.0,
    }.items():
        flags = ("ci_not_met",) if spec.backbone == "vgg16" else ()
        spread = {"n": 50, "ci95": [0.99 * latency_ms, 1.02 * latency_ms]}
        record = Record(
            spec=spec,
            settings=Settings(),
            status=Status.OK,
            counted={"params": int(1e6 * latency_ms), "macs": int(1e9 * latency_ms)},
            measured={
                "latency_ms": Metric(
                    latency_ms, "ms", protocol="model", flags=flags, spread=spread
                ),
                "fps": Metric(1e3 / latency_ms, "images/s", protocol="model"),
            },
            environment={"device": "cuda:0", "device_name": "Example GPU"},
        )
        Store(folder).append(record)
    return folder


def test_it_writes_one_file_and_names_it(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert run(["report", "--results", str(results), "--out", str(out), "--no-figures"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["page.html"]


def test_figures_are_drawn_from_the_records_and_the_others_say_why(
    results: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    assert run(["report", "--results", str(results), "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert "<figure><svg" in text
    assert (
        "<dt>layers</dt><dd>drawn from counted layers, not records: archbench plot layers</dd>"
        in text
    )


def test_the_appendix_is_written_in_both_forms(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "artifact.tex"
    assert run(["report", "--results", str(results), "--appendix", "--out", str(out)]) == 0
    written = [out.with_suffix(".md"), out]
    assert capsys.readouterr().out.split() == [str(file) for file in written]
    assert written[0].read_text(encoding="utf-8").startswith("# Artifact appendix\n")
    assert written[1].read_text(encoding="utf-8").startswith(r"\section*{Artifact appendix}")
    assert run(["report", "--results", str(results), "--appendix", "--all"]) == 2
    assert capsys.readouterr().err == (
        "error: --appendix has neither rows nor figures: leave out --all, --no-figures\n"
    )


def test_no_records_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["report"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: no records in results to report on; to create one:"
    )
    assert run(["report", "--results", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("error: no results folder nowhere")


def test_a_file_that_cannot_be_written_is_one_line(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "nowhere" / "page.html"
    assert run(["report", "--results", str(results), "--out", str(out), "--no-figures"]) == 2
    assert capsys.readouterr().err == f"error: {out} cannot be written: No such file or directory\n"


# What follows opens the page in Chromium.


class Browser:
    """A page in headless Chromium, and what it logged."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def names(self) -> list[str]:
        return self.ask(
            "return [...document.querySelectorAll('#records-table tbody th')].map((cell) => "
            "cell.textContent)"
        )

    def choose(self, selector: str, value: Any) -> None:
        """Set a control as a user does."""
        self.ask(
            "const [selector, value] = arguments, found = document.querySelector(selector);"
            "if (found.type === 'checkbox') found.checked = value; else found.value = value;"
            "found.dispatchEvent(new Event(found.type === 'search' ? 'input' : 'change', { "
            "bubbles: true }))",
            selector,
            value,
        )

    def click(self, selector: str) -> None:
        self.ask("document.querySelector(arguments[0]).click()", selector)

    def plotted(self) -> dict[str, Any]:
        return self.ask(
            "const texts = (selector) => [...document.querySelectorAll(`#plot ${selector}`)]"
            ".map((found) => found.textContent.trim());"
            "return { x: texts('.axis')[0], names: texts('.legend button'), ticks: texts('text'),"
            " count: texts('.point').length }"
        )

    def requests(self) -> set[str]:
        """Everything that the page asked for."""
        messages = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        asked = [
            message["params"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return {one["request"]["url"] for one in asked if one["documentURL"].startswith("file:")}


@pytest.fixture
def browser(results: Path, tmp_path: Path) -> Iterator[Browser]:
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("no Chromium, or no chromedriver, is installed")
    out = tmp_path / "page.html"
    assert run(["report", "--results", str(results), "--out", str(out)]) == 0
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "window-size=1400,1000",
        f"user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        driver.set_script_timeout(60)
        driver.get(out.as_uri())
        driver.execute_async_script(
            "const done = arguments[0];const wait = () => document.querySelector('#plot .point') "
            "? done() : setTimeout(wait, 50); wait()"
        )
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.mark.slow
def test_in_a_browser_it_sorts_filters_hovers_and_switches_axes_and_asks_for_nothing(
    browser: Browser,
) -> None:
    opened = browser.names()
    assert len(opened) == 5

    browser.click("[data-sort='latency_ms']")
    assert [name.partition(" ")[0] for name in browser.names()[:4]] == [
        "vgg16",
        "vovnet39",
        "resnet50-v1",
        "densenet201",
    ]
    assert browser.ask("return document.querySelector('[aria-sort]').ariaSort") == "ascending"
    browser.click("[data-sort='latency_ms']")
    assert browser.names()[1].startswith("densenet201")
    browser.click("[data-sort='latency_ms']")
    assert browser.names() == opened

    browser.choose("#query", "vovnet39 gpu")
    assert browser.names() == ["vovnet39 + refinedet320"]
    assert browser.ask("return document.getElementById('count').textContent") == (
        "1 of 5 configurations"
    )
    assert browser.plotted()["count"] == 1, "the plot follows the filters"
    browser.click("#reset")
    browser.choose("#unflagged", True)
    assert len(browser.names()) == 4
    browser.click("#reset")

    before = browser.plotted()
    assert (before["x"], before["count"]) == ("multiply-adds (G)", 5)
    browser.choose("#x", "params")
    assert browser.plotted()["x"] == "parameters (M)"
    even = browser.plotted()["ticks"]
    browser.choose("#x-log", True)
    assert browser.plotted()["ticks"] != even
    browser.choose("#x-log", False)
    assert browser.plotted()["ticks"] == even
    browser.choose("#group", "backbone")
    assert len(browser.plotted()["names"]) == 5

    browser.ask(
        "const drawing = document.querySelector('#plot [tabindex]'); drawing.focus();"
        "drawing.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }))"
    )
    assert "forward" in browser.ask("return document.querySelector('#plot .tip').textContent")

    browser.click("#picker summary")
    browser.choose("#columns label[title='mac_bound'] input", True)
    assert browser.ask("return document.querySelectorAll('[data-sort=mac_bound]').length") == 1

    assert browser.ask("return window.pwned") is None
    assert browser.ask("return document.images.length") == 0
    assert browser.driver.get_log("browser") == []
    assert browser.requests() == {browser.driver.current_url.partition("#")[0]}


@pytest.mark.slow
def test_in_a_browser_printing_shows_every_row_and_everything_folded(browser: Browser) -> None:
    browser.choose("#query", "vovnet39")
    browser.ask("window.dispatchEvent(new Event('beforeprint'))")
    assert len(browser.names()) == 5
    assert browser.ask(
        "return [...document.querySelectorAll('details:not(#picker)')].every((one) => one.open)"
    )
    browser.ask("window.dispatchEvent(new Event('afterprint'))")
    assert len(browser.names()) == 1
    assert not browser.ask(
        "return [...document.querySelectorAll('details')].some((one) => one.open)"
    )
    assert browser.driver.get_log("browser") == []
