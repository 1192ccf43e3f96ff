"""Hold a prepared network against eager before it is timed: on random inputs, and on pictures where
some were given.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, isfinite
from pathlib import Path
from typing import Any

from archbench.engines.agreement import dense_error
from archbench.engines.matching import Same, compare_detections
from archbench.engines.outputs import together
from archbench.measure.job.bench import Bench
from archbench.measure.job.reference import PICTURES, RANDOM, Case, cases
from archbench.reasons import Flag, Reason
from archbench.records import Metric
from archbench.settings import Settings

MOST_ERROR, LEAST_MATCHED = 1e-3, 0.99
"""Beyond which an engine in fp32 computes something else than eager."""
WORDS = {
    RANDOM: ("engine_error", "engine_matched"),
    PICTURES: ("engine_error_images", "engine_matched_images"),
}
"""The figures of each kind of inputs."""


def agree(bench: Bench, form: Any, path: Path) -> dict[str, Metric]:
    """Compare what the engine gives, and what is detected in it, with what eager gave in fp32 for
    the same inputs: the file of a reference, whose outputs stand together in a form.
    """
    if not path.exists():
        names = [name for words in WORDS.values() for name in words]
        return Metric.lacking(names, Reason.NO_EAGER)
    found: dict[str, Metric] = {}
    by_kind: dict[str, list[Case]] = {kind: [] for kind in WORDS}
    for case in cases(path):
        by_kind[case.kind].append(case)
    for kind, (error, matched) in WORDS.items():
        compared = by_kind[kind]
        if not compared:
            found |= Metric.lacking([error, matched], Reason.NO_PICTURES)
            continue
        found |= _figures(bench, form, compared, error, matched)
    return found


def differs(found: dict[str, Metric], settings: Settings) -> bool:
    """Whether an engine computes something else than eager; in reduced precision that is not
    judged.
    """
    if settings.precision != "fp32":
        return False
    for error, matched in WORDS.values():
        if found[error].reason == Reason.NOT_FINITE:
            return True
        off, share = found[error].value, found[matched].value
        if (off is not None and off > MOST_ERROR) or (share is not None and share < LEAST_MATCHED):
            return True
    return False


def flagged(found: dict[str, Metric]) -> dict[str, Metric]:
    """The figures of an engine that computes something else."""
    return {
        name: metric if metric.value is None else replace(metric, flags=(Flag.ENGINE_DIFFERS,))
        for name, metric in found.items()
    }


def error_of(given: Any, expected: Any) -> float:
    """How far outputs are apart: infinitely where their shapes differ, as final detections' may."""
    try:
        return dense_error(given, expected)
    except ValueError:
        return inf


def _figures(
    bench: Bench, form: Any, compared: list[Case], error: str, matched: str
) -> dict[str, Metric]:
    network: Any = bench.network
    detects = hasattr(network, "postprocess") and not bench.gives_final
    off, same = 0.0, Same(0, 0)
    for case in compared:
        images = case.images.to(bench.device.torch_device)
        assert bench.replay is not None
        given = bench.replay(images)
        expected = together(form, [each.to(images.device) for each in case.outputs])
        off = max(off, error_of(given, expected))
        if detects:
            here = compare_detections(network, given, expected)
            same = Same(same.count + here.count, same.most + here.most)
    source = f"{len(compared)} batch{'es' * (len(compared) != 1)} against eager in fp32 on the CPU"
    found = (
        {error: Metric.of(error, off, source, "model")}
        if isfinite(off)
        else Metric.lacking([error], Reason.NOT_FINITE)
    )
    if not detects:
        return found | Metric.lacking([matched], Reason.NO_POSTPROCESS)
    if same.share is None:
        return found | Metric.lacking([matched], Reason.NO_DETECTIONS)
    return found | {matched: Metric.of(matched, same.share, source, "model+post")}
