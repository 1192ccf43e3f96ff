"""Count networks: those of the zoo in this process, those from elsewhere in one of their own, since
what their code does is not known. Torch-free until something is counted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from archbench import child
from archbench.engines.graphs import graph_hash
from archbench.known import code_of, find_cost, plugins_of, report_of
from archbench.measure.job.result import Outcome, Result
from archbench.reasons import Status
from archbench.records import Record
from archbench.records.conditions import Environment
from archbench.spec import ONNX, Spec, UsageError

if TYPE_CHECKING:
    from archbench.api import Check, CostReport
    from archbench.measure.job.supervisor import Ending

DEADLINE_S = 300.0
"""How long a network from elsewhere may take to be counted."""
FILE = "counted.json"
"""What the process of its own writes beside the files of any job."""
WORKER = (*child.command("archbench.measure.job.counter"),)


@dataclass(frozen=True)
class Counted:
    """A network's count, what other counters say of it where that was asked for, and how it was
    made.
    """

    spec: Spec
    report: CostReport
    check: Check | None = None
    result: Result | None = None

    def record(self, environment: Environment, run_id: str = "") -> Record:
        """Give it as a record made in an environment."""
        found = self.result or Result()
        found.note_plugins(plugins_of(self.spec), code_of(self.spec))
        return Record(
            spec=self.spec,
            settings=None,
            status=Status.OK,
            counted=self.report.totals(),
            environment={**environment, **found.environment},
            conditions=found.conditions,
            run_id=run_id,
        )


def count(
    spec: Spec,
    *,
    check: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    interruptions: Sequence[int] | None = None,
) -> Counted:
    """Count the network of a spec; `check` holds it against other counters, `tell` hears
    tracebacks.

    Raises UsageError where it cannot be counted, and KeyboardInterrupt where a process of its own
    was interrupted.
    """
    if spec.origin == ONNX:
        return _count_graph(spec)
    if spec.origin:
        return _count_apart(spec, check, tell, interruptions)
    if not check:
        return Counted(spec, find_cost(spec))
    from archbench.api import check_spec, cost_spec

    report = cost_spec(spec)
    return Counted(spec, report, check_spec(spec, report))


def network_hash(spec: Spec) -> str:
    """Give a hash of what a network is of, where its name does not tell: a graph and its weights,
    or the code of plug-ins; empty where it does.
    """
    return graph_hash(Path(spec.backbone)) if spec.origin == ONNX else code_of(spec)


def _count_graph(spec: Spec) -> Counted:
    """Count an ONNX graph, of which no code runs."""
    report = find_cost(spec)
    result = Result()
    path = Path(spec.backbone)
    result.environment["graph_file"] = str(path.resolve())
    result.environment["network_hash"] = graph_hash(path)
    if report.notes:
        result.conditions["count_notes"] = list(report.notes)
    return Counted(spec, report, result=result)


def _count_apart(
    spec: Spec, check: bool, tell: Callable[[str], None], interruptions: Sequence[int] | None
) -> Counted:
    from archbench.measure.job.folder import hand_over, job_folder
    from archbench.measure.job.supervisor import Watch, supervise

    with job_folder() as folder:
        asked = {"spec": spec.to_dict(), "check": check, "supervisor": os.getpid()}
        hand_over(asked, folder)
        watch = Watch(lambda news: tell(news.get("traceback", "")), interruptions)
        ending = supervise([*WORKER, str(folder)], folder, DEADLINE_S, watch=watch)
        result = Result.read(folder)
        if ending.interrupted:
            raise KeyboardInterrupt
        if ending.code != 0 or result.outcome != Outcome.ENDED or result.status != Status.OK:
            raise UsageError(_why_not(spec, ending, result))
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return Counted(spec, report_of(found["report"]), _check_of(found["check"]), result)


def _check_of(found: Any) -> Check | None:
    if found is None:
        return None
    from archbench.api import Check

    return msgspec.convert(found, Check)


def _why_not(spec: Spec, ending: Ending, result: Result) -> str:
    if ending.timed_out:
        return f"{spec} was not counted within {DEADLINE_S:g} s"
    if ending.code == 0 and result.reason:
        return result.reason.message
    from archbench.measure.job.supervisor import crash

    return f"{spec} cannot be counted: {crash(ending, result.phase).message}"
