"""`archbench plot`: the papers' figures and our own, from your records, from the papers' figures,
or from counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archbench.cli import completion
from archbench.cli.exit import Exit
from archbench.cli.formats import AsLatex, AsMarkdown, print_tables, the_format
from archbench.cli.groups import given, grouped, refuse
from archbench.cli.messages import say
from archbench.cli.plugins import Plugins
from archbench.cli.reading import Results, read_records
from archbench.escaping import visible
from archbench.spec import Spec, UsageError, parse_value

if TYPE_CHECKING:
    from archbench.report.figures.contract import Plot
    from archbench.report.figures.material import Layer, Material
    from archbench.report.figures.style import Style

ALL = "all"
DEFAULT_OUT = Path("plots")
ENDINGS = {"records": "", "paper": "-paper", "both": "-overlay"}
"""What the names of files end in, so that figures of one name and several sources stand side by
side.
"""


@dataclass(frozen=True, kw_only=True)
class FigureFlags:
    """Which figure, and of what."""

    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Figure to draw, or all. Without a name, list them.",
            autocompletion=completion.plots,
        ),
    ] = None
    source: Annotated[
        str,
        typer.Option(
            "--source",
            metavar="SOURCE",
            help="records: your measurements; paper: the published figures.",
        ),
    ] = "records"
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay", help="Draw your measurements and the published figures together."
        ),
    ] = False
    results: Results = None
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            metavar="NAME",
            help="Network for layers, layer-io and aggregation: NAME[+DETECTOR][,KEY=VALUE...]. "
            "Repeatable.",
        ),
    ] = None
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", help="Checkpoint of the network, for aggregation."
        ),
    ] = None
    plugin: Plugins = None


@dataclass(frozen=True, kw_only=True)
class AxisFlags:
    """What stands on the axes of the figure of any two columns."""

    x: Annotated[
        str,
        typer.Option(
            "--x",
            metavar="COLUMN",
            help="Column for the x axis, as compare --csv names it.",
            autocompletion=completion.columns,
        ),
    ] = ""
    y: Annotated[
        str,
        typer.Option(
            "--y",
            metavar="COLUMN",
            help="Column for the y axis.",
            autocompletion=completion.columns,
        ),
    ] = ""
    group: Annotated[
        str, typer.Option("--group", metavar="COLUMN", help="Column that colours the points.")
    ] = ""
    log: Annotated[
        str,
        typer.Option(
            "--log", metavar="AXES", help="Logarithmic axes: x, y, xy or none. Default: by range."
        ),
    ] = ""


@dataclass(frozen=True, kw_only=True)
class PictureFlags:
    """Which files are written, and where."""

    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR", help="Folder to write the pictures to."),
    ] = DEFAULT_OUT
    style: Annotated[
        str,
        typer.Option(
            "--style",
            metavar="STYLE",
            help="screen, or paper: small, with the caption in a text file.",
        ),
    ] = "screen"
    data: Annotated[bool, typer.Option("--data", help="Also write the plotted data as CSV.")] = (
        False
    )


@dataclass(frozen=True, kw_only=True)
class ListFlags:
    """How the figures are listed."""

    as_markdown: AsMarkdown = False
    as_latex: AsLatex = False


@grouped
def plot(
    figure: FigureFlags, trade_off: AxisFlags, pictures: PictureFlags, listing: ListFlags
) -> int:
    """Draw figures as PNG and SVG: VoVNet's, Huang et al.'s, CSPNet's, DSNet's and our own.

    Example: archbench plot efficiency --source paper
    """
    from archbench.report.figures import registry
    from archbench.report.figures.contract import Missing
    from archbench.report.figures.style import STYLES

    flags = [*given(figure), *given(trade_off), *given(pictures)]
    if figure.what is None:
        refuse(
            [flag for flag in flags if flag not in ("--results", "--plugin")],
            "no figure is named",
            instead="name one",
        )
        form = the_format(markdown=listing.as_markdown, latex=listing.as_latex)
        print_tables([registry.table()], form)
        return Exit.DONE
    chosen = registry.FIGURES if figure.what == ALL else (registry.find(figure.what),)
    idle = registry.TAKEN.difference(*(each.takes for each in chosen))
    refuse([flag for flag in flags if flag in idle], f"plot {figure.what} takes no such flag")
    refuse(given(listing), "figures are drawn, not listed", instead="the figure's name")
    _check("source", figure.source, ("records", "paper"))
    _check("style", pictures.style, tuple(STYLES))
    if figure.overlay and figure.source == "paper":
        raise UsageError("--overlay draws both: leave out --source paper")
    material = _material(figure, trade_off)
    drawn = 0
    for each in chosen:
        ending = ENDINGS[material.source] if "--source" in each.takes else ""
        for drawing in each.make(material):
            if isinstance(drawing, Missing):
                say(f"{drawing.name}: not drawn, {drawing.why}")
                continue
            stem, style = f"{drawing.name}{ending}", STYLES[pictures.style]
            for path in _write(drawing, pictures.out / stem, style, data=pictures.data):
                print(visible(str(path)), flush=True)
            drawn += 1
    return Exit.DONE if drawn else Exit.USAGE


def _material(figure: FigureFlags, trade_off: AxisFlags) -> Material:
    """What figures are made of."""
    from archbench.report.figures.material import Choice, Material

    networks = [_network(text) for text in figure.network or ()]
    return Material(
        [] if figure.source == "paper" else read_records(figure.results, quietly=True),
        "both" if figure.overlay else figure.source,  # type: ignore[arg-type]
        Choice(trade_off.x, trade_off.y, trade_off.group, trade_off.log),
        networks,
        _layers,
        *_weighed(networks, figure.weights),
    )


def _write(plot: Plot, stem: Path, style: Style, *, data: bool) -> list[Path]:
    """Write a figure's files, which share a path but for their endings; raises UsageError where the
    folder takes none.
    """
    from archbench.report.figures.contract import write_csv
    from archbench.report.figures.drawing import caption, draw, save

    folder = stem.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = save(draw(plot, style), folder, stem.name)
        if data:
            paths.append(folder / f"{stem.name}.csv")
            with paths[-1].open("w", encoding="utf-8", newline="") as file:
                write_csv(plot, file)
        if not style.has_words:
            paths.append(folder / f"{stem.name}.txt")
            paths[-1].write_text(caption(plot), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be written: {error.strerror}") from None
    return paths


def _check(kind: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise UsageError(f"invalid {kind} {word!r} (choose from {', '.join(words)})")


def _network(text: str) -> Spec:
    """Read NAME[+DETECTOR][,KEY=VALUE...]; size and classes are keys as options are."""
    from archbench.zoo import catalogue

    name, *settings = text.split(",")
    backbone, plus, detector = name.partition("+")
    given: dict[str, Any] = {"size": None, "classes": None}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not value.strip():
            raise UsageError(f"invalid --network {text}: {setting.strip()!r} is not KEY=VALUE")
        key = key.strip().replace("-", "_")
        if key in ("backbone", "detector"):
            raise UsageError(f"invalid --network {text}: the {key} comes first, NAME[+DETECTOR]")
        given[key] = value.strip() if key == "size" else parse_value(value.strip())
        if key in ("classes", "batch") and type(given[key]) is not int:
            raise UsageError(
                f"invalid --network {text}: {key} {value.strip()!r} is not a whole number"
            )
    if plus and not detector.strip():
        raise UsageError(f"invalid --network {text}: no detector after the +")
    call = {key: given.pop(key) for key in ("size", "classes", "batch", "mode") if key in given}
    head = detector.strip() or None
    return catalogue.resolve(backbone.strip(), head, **call, options=given).spec


def _layers(spec: Spec) -> Sequence[Layer]:
    """Count the layers of a network."""
    from archbench.measure.job.counting import count

    return count(spec).report.calls


def _weighed(networks: Sequence[Spec], weights: Path | None) -> tuple[list[Any], str]:
    """The blocks of the network whose checkpoint is given, and the file's name; none where
    none is.
    """
    if weights is None:
        return [], ""
    if len(networks) != 1:
        raise UsageError("--weights needs one network: give --network NAME")
    if networks[0].origin:
        raise UsageError("--weights needs a network of the zoo, not your own")
    from archbench.measure.aggregation import aggregation
    from archbench.measure.job.checkpoint import check_weights

    check_weights(weights)
    return aggregation(networks[0], weights), weights.name
