"""The drawn figure: its words, its names in free places, nothing cut off, the same bytes each time.
No pixel is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from synthetic import cases, everything

from archbench.records import Record
from archbench.report.figures.contract import Plot
from archbench.report.figures.drawing import caption, draw, save
from archbench.report.figures.marks import choose_ticks, scale_logarithmically
from archbench.report.figures.material import Material
from archbench.report.figures.naming import LABEL
from archbench.report.figures.placement import Box
from archbench.report.figures.registry import FIGURES
from archbench.report.figures.style import PAPER, SCREEN
from archbench.report.figures.vovnet import efficiency

Make = Callable[..., Record]
NAMES = ("vovnet39", "vovnet57", "resnet50-v1", "resnet101-v1", "densenet161", "densenet201")
PLOTS = cases()
EVERYTHING = {
    made.name: made
    for figure in FIGURES
    for made in figure.make(everything())
    if isinstance(made, Plot)
}


DRAWN = EVERYTHING | {
    name: plot
    for name, plot in PLOTS.items()
    if name.endswith(("both", "paper")) and "efficiency-paper" not in name
}


def of(records: list[Record], source: str = "records", index: int = 1) -> Plot:
    made = efficiency(Material(records, source))[index]  # type: ignore[arg-type]
    assert isinstance(made, Plot)
    return made


def boxes(axes: Axes) -> list[Box]:
    """Where the names of points stand, in pixels."""
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    return [
        Box(*Text.get_window_extent(text, renderer).extents)
        for text in axes.texts
        if text.get_gid() == LABEL
    ]


def frame(axes: Axes) -> Box:
    return Box(*axes.get_window_extent().extents)


def marks(axes: Axes) -> list[Box]:
    places = [
        axes.transData.transform(point)
        for line in axes.lines
        if line.get_marker() not in ("None", "|", "_")
        for point in line.get_xydata()
    ]
    return [Box(x, y, x, y).grown(6) for x, y in places]


def texts(figure: Figure) -> str:
    return " ".join(
        " ".join(
            text.get_text()
            for text in [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
        ).split()
    )


@pytest.fixture(params=["published voc", "published coco", "measured", "crowded"])
def figure(request: pytest.FixtureRequest, record: Make) -> Figure:
    if request.param == "measured":
        return draw(
            of(
                [
                    record(name, latency_ms=10 + 3 * i, energy_j=2 + i)
                    for i, name in enumerate(NAMES)
                ]
            )
        )
    if request.param == "crowded":
        return draw(
            of(
                [
                    record(name, latency_ms=20 + 0.05 * i, energy_j=2 + 0.01 * i)
                    for i, name in enumerate(NAMES)
                ]
            )
        )
    return draw(of([], "paper", 0 if "voc" in request.param else 1))


def test_names_overlap_neither_one_another_nor_the_frame(figure: Figure) -> None:
    for axes in figure.axes:
        names = boxes(axes)
        assert len(names) in (4, 6)
        assert all(not first.touched([second]) for first, second in combinations(names, 2))
        assert all(frame(axes).holds(box) for box in names)


@pytest.mark.parametrize("index", [0, 1])
def test_names_cover_no_mark(index: int) -> None:
    for axes in draw(of([], "paper", index)).axes:
        found = marks(axes)
        assert len(found) >= 4
        assert all(not box.touched(found) for box in boxes(axes))


def test_axes_name_their_units(figure: Figure) -> None:
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    assert [x for x, _ in labels] == [
        "inference speed (images/s)",
        "FLOP/s as the paper counts (1e9/s)",
        "energy (J per image)",
        "energy (J per image)",
    ]
    assert labels[3][1] == "FLOP/s as the paper counts (1e9/s)"
    assert all("better" in axes.get_title(loc="right") for axes in figure.axes)


@pytest.mark.parametrize(
    "name", [*DRAWN, *(f"{name} for a paper" for name in ("efficiency-coco", "time"))]
)
def test_every_figure_draws_and_everything_lies_within_the_picture(name: str) -> None:
    plot, style = (
        (DRAWN[name], SCREEN)
        if name in DRAWN
        else (DRAWN[name.removesuffix(" for a paper")], PAPER)
    )
    figure = draw(plot, style)
    whole = Box(*figure.bbox.extents).grown(1)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    assert all(whole.holds(Box(*text.get_window_extent(renderer).extents)) for text in figure.texts)
    assert all(whole.holds(Box(*axes.get_tightbbox(renderer).extents)) for axes in figure.axes)
    legends = [Box(*legend.get_window_extent(renderer).extents) for legend in figure.legends]
    assert all(whole.holds(box) for box in legends)
    assert all(
        not box.touched([Box(*axes.get_tightbbox(renderer).extents) for axes in figure.axes])
        for box in legends
    )


def test_every_figure_that_has_data_is_among_those_drawn() -> None:
    undrawable = {figure.name for figure in FIGURES if figure.needs == "not drawable"}
    drawn = {name.removesuffix("-voc").removesuffix("-coco") for name in EVERYTHING}
    assert {figure.name for figure in FIGURES} - undrawable == drawn


def test_a_panel_without_data_says_why(record: Make) -> None:
    figure = draw(of([record(gpu=False)]))
    for axes in figure.axes[2:]:
        assert [" ".join(text.get_text().split()) for text in axes.texts] == [
            "energy: not available on a CPU (cpu_device)"
        ]
    assert len(boxes(figure.axes[0])) == 1


def test_the_caption_names_device_protocol_and_origin(record: Make) -> None:
    words = texts(draw(of([record()])))
    for part in (
        "Example GPU, fp32",
        "protocol model",
        "VoVNet, Table 4",
        "95 % confidence interval",
    ):
        assert part in words
    assert "as published" in texts(draw(of([], "paper", 0)))


def test_a_paper_s_picture_leaves_title_and_caption_to_the_paper(record: Make) -> None:
    plot = of([record()])
    words = texts(draw(plot, PAPER))
    assert plot.title not in words
    assert "protocol" not in words
    assert caption(plot).startswith(
        "Backbones under RefineDet320, after VoVNet's Figure 4; measured on Example GPU, fp32, "
        "contiguous. Batch 1"
    )


def test_measured_points_have_bars_and_published_ones_none(record: Make) -> None:
    def bars(plot: Plot) -> list[list[list[float]]]:
        return [patch.get_path().vertices.tolist() for patch in draw(plot).axes[0].patches]

    (mark,) = of([record()]).panels[0].marks
    assert mark.x_interval
    assert mark.x_interval[0] < mark.x_interval[1]
    assert bars(of([record()])) == [[[end, mark.y] for end in mark.x_interval]]
    assert bars(of([], "paper")) == []


def test_a_matrix_shares_its_scales_and_is_labelled_at_its_edges() -> None:
    plot = EVERYTHING["explains"]
    drawn = draw(plot).axes
    rows = [drawn[start : start + plot.columns] for start in range(0, len(drawn), plot.columns)]
    assert len(rows) == 2
    for row in rows:
        assert len({axes.get_ylim() for axes in row}) == 1
        assert [axes.yaxis.get_visible() for axes in row] == [True] + [False] * (plot.columns - 1)
    for above, below in zip(*rows, strict=True):
        assert above.get_xlim() == below.get_xlim()
        assert not above.xaxis.get_visible()
        assert below.xaxis.get_visible()


@pytest.mark.parametrize(
    ("high", "last"), [(9.8, 9.5), (12.0, 12.0), (1e3, 1e3), (3e5, 1e5), (1e30, 1e28)]
)
def test_a_logarithmic_axis_has_two_ticks_at_least_up_to_its_end(high: float, last: float) -> None:
    axes = Figure().add_subplot()
    scale_logarithmically(axes.yaxis)
    axes.set_ylim(7.1, high)
    choose_ticks(axes.yaxis)
    shown = [tick for tick in axes.get_yticks() if 7.1 <= tick <= high]
    assert 2 <= len(shown) <= 12
    assert max(shown) == pytest.approx(last)


def test_a_matrix_that_a_page_has_no_room_for_keeps_the_scale_and_words_of_each_panel() -> None:
    drawn = draw(EVERYTHING["explains"], PAPER).axes
    assert all(
        axis.get_visible() and axis.get_label_text()
        for axes in drawn
        for axis in (axes.xaxis, axes.yaxis)
    )
    assert len({axes.get_ylim() for axes in drawn}) > 1


def test_the_paper_s_marks_are_hollow_beside_ours_alone(record: Make) -> None:
    def faces(plot: Plot) -> set[object]:
        return {
            line.get_markerfacecolor()
            for axes in draw(plot).axes
            for line in axes.lines
            if line.get_marker() not in ("None", "|", "_")
        }

    assert "white" not in faces(of([], "paper"))
    assert "white" in faces(of([record()], "both"))


def test_the_same_data_give_the_same_files(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        found.append(
            [
                path.read_bytes()
                for path in save(draw(of([], "paper")), tmp_path / name, "efficiency-coco")
            ]
        )
    assert found[0] == found[1]
    assert b"<dc:date>" not in found[0][1]
    assert len(found[0][0]) < 150_000
    with Image.open(tmp_path / "one" / "efficiency-coco.png") as picture:
        assert picture.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
