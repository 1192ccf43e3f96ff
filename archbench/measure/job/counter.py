"""The process in which a network from elsewhere is counted: `python -m
archbench.measure.job.counter FOLDER` reads FOLDER/job.json and writes FOLDER/counted.json beside
the files of any job.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from archbench.api import check_spec
from archbench.measure.job.counting import FILE
from archbench.measure.job.findings import Report
from archbench.measure.job.folder import ASKED
from archbench.measure.job.phases import count
from archbench.measure.job.worker import die_with_parent, last_word, leave
from archbench.spec import Spec


def main(folder: Path) -> int:
    """Count the network in `folder`; the exit code says only whether the files hold the last
    word.
    """
    job: dict[str, Any] = json.loads((folder / ASKED).read_text(encoding="utf-8"))
    die_with_parent(job["supervisor"])
    spec = Spec.from_dict(job["spec"])
    report = Report(folder)
    with last_word(report, spec):
        with report.phase("count"):
            counted = count(spec, report.result)
            check = check_spec(spec, counted) if job["check"] else None
        found = {"report": counted, "check": check}
        (folder / FILE).write_bytes(msgspec.json.encode(found))
    return 0


if __name__ == "__main__":
    leave(main(Path(sys.argv[1])))
