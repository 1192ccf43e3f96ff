"""What the figures of Huang et al. share: the names of their grid, axes, and sentences."""

from __future__ import annotations

from collections.abc import Iterable

from archbench.papers.grid import Point
from archbench.report.figures.contract import Axis, Key
from archbench.report.figures.material import Selection, Value, bars_remark, flags_remark, left_out

EXTRACTORS = {
    "vgg16": "VGG-16",
    "mobilenet": "MobileNet",
    "inception-v2": "Inception v2",
    "inception-v3": "Inception v3",
    "resnet101-slim": "ResNet-101",
    "inception-resnet-v2": "Inception-ResNet v2",
}
META = {"faster-rcnn": "Faster R-CNN", "rfcn": "R-FCN", "ssd-huang": "SSD"}
LOW, HIGH, DENSE, MOST_PROPOSALS = 300, 600, 8, 300
COLOURS = Key(tuple(EXTRACTORS.values()), "extractor")
SHAPES = Key(tuple(META.values()), "meta-architecture")
TIME = Axis("time per image", "ms")
TOTAL_MEMORY = Axis("total activation memory", "MB", is_log=True)
PROTOCOL = "Batch 1, forward pass and postprocessing (protocol model+post)."
NO_TIMES = "the paper gives times and memory only as plots, not as numbers"


def label_of(point: Point) -> str:
    """Name a configuration: meta-architecture, extractor, side, stride and proposals."""
    words = [f"{META[point.detector]} {EXTRACTORS[point.backbone]}, {point.size}"]
    words += [f"stride {DENSE}"] if point.output_stride == DENSE else []
    words += [f"{point.proposals} proposals"] if point.proposals else []
    return ", ".join(words)


def measured_on(selection: Selection) -> str:
    """Say where the figures of a selection are from."""
    return f"measured on {selection.setup}"


def remarks_of(selection: Selection, values: Iterable[Value], word: str) -> list[str]:
    """Say what the bars are, what is left out, and what is flagged."""
    return [*bars_remark(values), *left_out(selection), *flags_remark(selection, [word])]


def how_to_fill(figure: str, *, is_first: bool = True) -> str:
    """Say which command makes the records of a figure."""
    command = f"archbench sweep huang/{figure}"
    return (
        f"no record of its networks has these figures; {command} measures them"
        if is_first
        else f"{command} measures them"
    )
