"""The pairs of backbone and detector that the papers' tables have rows of, and which of them can be
built.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from archbench.papers.grid import cells
from archbench.papers.published import Published, figures, root
from archbench.spec import Spec, UsageError, parse_options
from archbench.zoo import catalogue
from archbench.zoo.catalogue import Network


@dataclass(frozen=True)
class Pair:
    """One published pair: its inputs and tables, whether it builds, and why not or why only
    nearly.
    """

    backbone: str
    detector: str
    inputs: tuple[str, ...]
    sources: tuple[str, ...]
    status: Literal["builds", "approximate", "published", "not built"]
    why: str = ""


def pairs() -> list[Pair]:
    """Every published pair, in the order of the files."""
    rows: dict[tuple[str, str], list[Published]] = {}
    for figure in figures():
        if figure.detector:
            rows.setdefault((figure.backbone, figure.detector), []).append(figure)
    return [
        _pair(backbone, detector, published) for (backbone, detector), published in rows.items()
    ]


def approximation(network: Network) -> str:
    """Say in what a network is only near the paper's, of both its parts where both are; empty where
    it is known layer by layer.
    """
    parts = {"backbone": network.backbone, "detector": network.detector}
    reasons = {part: entry.approximate for part, entry in parts.items() if entry}
    reasons = {part: reason for part, reason in reasons.items() if reason}
    return (
        "; ".join(f"{part}: {reason}" for part, reason in reasons.items())
        if len(reasons) > 1
        else "".join(reasons.values())
    )


def default_form(spec: Spec) -> str:
    """How a detector stands on a backbone that no paper pairs it with; empty for published pairs
    and classifiers.
    """
    if spec.detector is None:
        return ""
    if spec.origin:
        return catalogue.find("detector", spec.detector).form
    network = catalogue.network(spec)
    base, head = network.backbone, network.detector
    assert head
    wanted = base.same_as or base.name, head.same_as or head.name
    named = {(figure.backbone, figure.detector) for figure in figures() if figure.detector}
    named |= {(cell.backbone, cell.detector) for cell in cells() if not cell.lacking}
    published = any(
        (root("backbone", backbone), root("detector", detector)) == wanted
        for backbone, detector in named
    )
    return "" if published else head.form


def approximations(*specs: Spec) -> list[str]:
    """In words, which of the specs' networks are not known layer by layer, and what they are built
    to; a sentence for all that are built to the same.

    Nothing is said of a network that the zoo does not know: a record may be of a plug-in that is
    not there. Of a backbone from elsewhere no source is asked.
    """
    names: dict[str, dict[str, None]] = {}
    for spec in specs:
        with suppress(UsageError):
            for entry in filter(None, _entries(spec)):
                if entry.approximate:
                    names.setdefault(entry.approximate, {})[entry.name] = None
    return [
        f"{', '.join(known)} {'are' if len(known) > 1 else 'is'} approximate: {reason}."
        for reason, known in names.items()
    ]


def _entries(spec: Spec) -> tuple[catalogue.Entry | None, ...]:
    """What the zoo knows of a spec's networks."""
    if spec.origin:
        return (catalogue.find("detector", spec.detector) if spec.detector else None,)
    network = catalogue.network(spec)
    return network.backbone, network.detector


def _pair(backbone: str, detector: str, published: list[Published]) -> Pair:
    inputs = tuple(dict.fromkeys(figure.input for figure in published if figure.input))
    sources = tuple(dict.fromkeys(figure.source for figure in published))
    status, why = _standing(published[0])
    return Pair(backbone, detector, inputs, sources, status, why)


def _standing(
    figure: Published,
) -> tuple[Literal["builds", "approximate", "published", "not built"], str]:
    """Whether a row's network builds, by its names and options."""
    if not figure.backbone:
        return "published", "the paper does not say what its backbone is"
    try:
        base = catalogue.find("backbone", figure.backbone)
        head, _ = catalogue.find_detector(figure.detector or "")
    except UsageError as error:
        return "not built", error.fact
    published_only = base.published_only or head.published_only
    if published_only:
        return "published", published_only
    try:
        options = parse_options(figure.options.split(";") if figure.options else [])
        network = catalogue.resolve(
            base.name,
            head.name,
            size=figure.input or None,
            classes=figure.classes,
            options=options,
        )
    except UsageError as error:
        return "not built", str(error)
    approximate = approximation(network)
    return ("approximate", approximate) if approximate else ("builds", "")
