"""The drawn figure: its words, its names in free places, the same bytes each time. No pixel is compared."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from archbench.records import Record
from archbench.report.efficiency import CHARTS, measured, published
from archbench.report.placement import Box
from archbench.report.scatter import LABEL, draw, save

Make = Callable[..., Record]
VOC, COCO = CHARTS
NAMES = ("vovnet39", "vovnet57", "resnet50-v1", "resnet101-v1", "densenet161", "densenet201")


def boxes(axes: Axes) -> list[Box]:
    """Where the names of points stand, in pixels."""
    renderer = axes.figure.canvas.get_renderer()
    return [Box(*Text.get_window_extent(text, renderer).extents) for text in axes.texts if text.get_gid() == LABEL]


def frame(axes: Axes) -> Box:
    return Box(*axes.get_window_extent().extents)


def marks(axes: Axes) -> list[Box]:
    places = [axes.transData.transform(line.get_xydata()[0]) for line in axes.lines if line.get_marker() not in ("None", "|", "_")]
    return [Box(x, y, x, y).grown(6) for x, y in places]


def texts(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]).split())


def crowded(record: Make) -> list[Record]:
    return [record(name, latency_ms=20 + 0.05 * i, energy_j=2 + 0.01 * i) for i, name in enumerate(NAMES)]


@pytest.fixture(params=["published voc", "published coco", "measured", "crowded"])
def figure(request: pytest.FixtureRequest, record: Make) -> Figure:
    if request.param == "measured":
        return draw(COCO, measured(COCO, [record(name, latency_ms=10 + 3 * i, energy_j=2 + i) for i, name in enumerate(NAMES)]))
    if request.param == "crowded":
        return draw(COCO, measured(COCO, crowded(record)))
    chart = VOC if "voc" in request.param else COCO
    return draw(chart, published(chart))


def test_names_overlap_neither_one_another_nor_the_frame(figure: Figure) -> None:
    for axes in figure.axes:
        names = boxes(axes)
        assert len(names) in (4, 6)
        assert all(not first.touched([second]) for first, second in combinations(names, 2))
        assert all(frame(axes).holds(box) for box in names)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_names_cover_no_mark(chart) -> None:
    for axes in draw(chart, published(chart)).axes:
        found = marks(axes)
        assert len(found) >= 4
        assert all(not box.touched(found) for box in boxes(axes))


def test_axes_name_their_units(figure: Figure) -> None:
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    assert [x for x, _ in labels] == [
        "inference speed (images/s)", "FLOP/s as the paper counts (1e9/s)", "energy (J an image)", "energy (J an image)",
    ]  # fmt: skip
    assert labels[3][1] == "FLOP/s as the paper counts (1e9/s)"
    assert all("better" in axes.get_title(loc="right") for axes in figure.axes)


def test_everything_lies_within_the_picture(figure: Figure) -> None:
    figure.draw_without_rendering()
    whole = Box(*figure.bbox.extents)
    renderer = figure.canvas.get_renderer()
    assert all(whole.holds(Box(*text.get_window_extent(renderer).extents)) for text in figure.texts)
    assert all(whole.holds(Box(*axes.get_tightbbox(renderer).extents)) for axes in figure.axes)


def test_a_panel_without_data_says_why(record: Make) -> None:
    figure = draw(COCO, measured(COCO, [record(gpu=False)]))
    for axes in figure.axes[2:]:
        assert [" ".join(text.get_text().split()) for text in axes.texts] == ["energy: no figure of a CPU device (cpu_device)"]
    assert len(boxes(figure.axes[0])) == 1


def test_the_caption_names_device_protocol_and_origin(record: Make) -> None:
    words = texts(draw(COCO, measured(COCO, [record()])))
    for part in ("Example GPU, fp32", "protocol model", "VoVNet, Table 4", "95 % interval"):
        assert part in words
    assert "as published" in texts(draw(VOC, published(VOC)))


def test_measured_points_have_bars_and_published_ones_none(record: Make) -> None:
    assert len(draw(COCO, measured(COCO, [record()])).axes[0].containers) == 1
    assert len(draw(COCO, published(COCO)).axes[0].containers) == 0


def test_the_same_data_give_the_same_files(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        found.append([path.read_bytes() for path in save(draw(COCO, published(COCO)), tmp_path / name, "efficiency-coco")])
    assert found[0] == found[1]
    assert b"<dc:date>" not in found[0][1]
