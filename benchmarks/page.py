"""Write the page of many made-up records and open it in headless Chromium, several times.

    pip install -e '.[test-browser]'; python benchmarks/page.py [RECORDS]

Prints the page's size and the seconds that it takes to write, without figures; for each opening the
seconds until the first paint, until the page has loaded and until the plot is drawn, and the
browser's seconds of processor time. The records are of this file alone: their figures are random
numbers.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from selenium import webdriver

from archbench.papers.suites import suite
from archbench.records import Metric, Record
from archbench.report.page.page import Contents, page
from archbench.settings import Settings

OPENINGS = 5
FLAGS = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "no-first-run",
    "disable-background-networking",
    "window-size=1400,1000",
)
DRAWN = (
    "const done = arguments[0], wait = () => document.querySelector('#plot .point') ? done() : "
    "setTimeout(wait, 10); wait()"
)
FIRST_PAINT = "return performance.getEntriesByName('first-contentful-paint')[0].startTime / 1e3"


def made_up(count: int) -> list[Record]:
    """Records of the published networks with random figures."""
    draw = random.Random(0)
    specs = suite("all").specs
    records = []
    for index in range(count):
        latency_ms, macs = draw.uniform(2, 900), draw.uniform(1e8, 5e10)
        spread = {"n": 100, "ci95": [0.99 * latency_ms, 1.01 * latency_ms]}
        measured = {
            "latency_ms": Metric(latency_ms, "ms", protocol="model", spread=spread),
            "fps": Metric(1e3 / latency_ms, "images/s", protocol="model"),
            "mem_host_peak_bytes": Metric(draw.uniform(1e8, 4e9), "bytes"),
        }
        counted = {
            "params": int(macs / 500),
            "macs": int(macs),
            "mac_eq1": int(macs / 300),
            "activation_peak_bytes": int(macs / 700),
        }
        environment = {"device": "cuda:0", "device_name": draw.choice(["Made-up GPU", "Other GPU"])}
        records.append(
            Record(
                specs[index % len(specs)],
                Settings(),
                "ok",
                counted=counted,
                measured=measured,
                environment=environment,
            )
        )
    return records


def processor_s(driver: Any) -> float:
    """Processor time that the page's process has taken."""
    found = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(float(metric["value"]) for metric in found if metric["name"] == "ProcessTime")


def main() -> None:
    """Write, open, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    records = made_up(count)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        start = time.perf_counter()
        file.write_text(page(Contents(records, [], {}, "now", "0")), encoding="utf-8")
        print(
            f"{count} records, {file.stat().st_size / 1e6:.1f} MB, written in "
            f"{time.perf_counter() - start:.1f} s"
        )
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
        for flag in (*FLAGS, f"user-data-dir={folder}/profile"):
            options.add_argument(f"--{flag}")
        driver = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
        )
        try:
            driver.execute_cdp_cmd("Performance.enable", {})
            print(f"{'first paint (s)':>15}{'loaded':>10}{'drawn':>10}{'processor':>12}")
            for _ in range(OPENINGS):
                driver.get("about:blank")
                before, start = processor_s(driver), time.perf_counter()
                driver.get(file.as_uri())
                loaded = time.perf_counter() - start
                driver.execute_async_script(DRAWN)
                drawn = time.perf_counter() - start
                paint, busy = driver.execute_script(FIRST_PAINT), processor_s(driver) - before
                print(f"{paint:15.2f}{loaded:10.2f}{drawn:10.2f}{busy:12.2f}")
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
