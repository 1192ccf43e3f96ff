"""The page in a browser that is installed: what its script does to the table."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from archbench.records import Metric, Record
from archbench.report.page.page import Contents, page

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
CLICK = """
<script>
  const found = [];
  for (let click = 0; click < 4; click += 1) {
    const rows = [...document.querySelectorAll("#records-table tbody th")];
    const names = rows.map((row) => row.textContent.split(",")[0]);
    const head = document.querySelector('th[title="latency_ms"]');
    found.push([names, head.ariaSort]);
    head.querySelector("button").click();
  }
  const shown = document.createElement("pre");
  shown.textContent = JSON.stringify(found);
  document.body.replaceChildren(shown);
</script>
"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_click_sorts_rising_then_falling_then_not_and_what_is_missing_stays_last(
    record: Callable[..., Record], tmp_path: Path
) -> None:
    times = {"resnet18": (30.0, 50.0), "mobilenet": (9.0, 60.0), "resnet50": (200.0, 40.0)}
    records = [
        record(
            name,
            None,
            measured={"latency_ms": Metric(forward, "ms"), "total_ms": Metric(whole, "ms")},
        )
        for name, (forward, whole) in times.items()
    ]
    records.insert(1, record("vgg16", None, latency_ms=None))
    text = page(Contents(records, [], {}, "2025-01-02 03:04 UTC", "9.9", "/* no plotly */"))
    # The page's policy lets no script run but its own.
    text = re.sub(r"<meta http-equiv[^>]*>", "", text).replace("</body>", f"{CLICK}</body>")
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'own'}"]
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, *flags, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120
    )
    (found,) = re.findall("<pre>(.*)</pre>", done.stdout)
    assert json.loads(found) == [
        [["resnet50", "resnet18", "mobilenet", "vgg16"], None],
        [["mobilenet", "resnet18", "resnet50", "vgg16"], "ascending"],
        [["resnet50", "resnet18", "mobilenet", "vgg16"], "descending"],
        [["resnet50", "resnet18", "mobilenet", "vgg16"], None],
    ]
