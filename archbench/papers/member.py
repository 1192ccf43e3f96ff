"""A row of a suite: its network, or why there is none, and what rules ask of it. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from archbench.papers.pairs import approximation
from archbench.papers.published import Published
from archbench.spec import OptionValue, Spec, UsageError, format_value, parse_size
from archbench.spelling import fold
from archbench.zoo import catalogue
from archbench.zoo.catalogue import Network


@dataclass(frozen=True)
class Member:
    """One row of a suite: its network, or why there is none, and the figures that the paper printed
    of it.
    """

    label: str
    spec: Spec | None
    why: str = ""
    """Why the zoo does not build it; empty where it does."""
    kind_of_why: str = ""
    """The same in words that like rows share; empty where there are none."""
    approximate: str = ""
    """In what the network is only near the paper's."""
    backbone: str = ""
    """As the row names it."""
    detector: str | None = None
    figures: tuple[Published, ...] = ()

    def called(self, call: dict[str, Any]) -> Member:
        """Give the row at another batch or in another mode, with those of its figures that hold."""
        if not self.spec or not call:
            return self
        old = self.spec
        given: dict[str, Any] = {
            "size": old.size,
            "classes": old.classes,
            "batch": old.batch,
            "mode": old.mode,
        }
        spec = catalogue.resolve(
            old.backbone, old.detector, **given | call, options=dict(old.options)
        ).spec
        return replace(
            self,
            spec=spec,
            figures=tuple(figure for figure in self.figures if figure.holds_for(spec)),
        )

    def has(self, key: str, value: Any) -> bool:
        """Whether it has a value; a row without a network has nothing but its names."""
        spec = self.spec
        if key == "label":
            return self.label == value
        if key == "backbone":
            return _canonical(value) == _canonical(spec.backbone if spec else self.backbone)
        if key == "detector":
            name, side = _detector(value)
            of_row, _ = _detector((spec.detector if spec else self.detector) or "")
            return name == of_row and (
                side is None or (spec is not None and (side, side) == (spec.width, spec.height))
            )
        if spec is None:
            return False
        return (
            parse_size(value) == (spec.width, spec.height)
            if key == "size"
            else getattr(spec, key) == value
        )

    def has_option(self, key: str, value: OptionValue) -> bool:
        """Whether its network has this value of an option, set or by default."""
        if self.spec is None:
            return False
        options = catalogue.network(self.spec).options
        return key in options and format_value(options[key]) == format_value(value)


def row_of(network: Network) -> Member:
    """Give the row of a network that no paper labels."""
    spec = network.spec
    return Member(
        str(spec),
        spec,
        approximate=approximation(network),
        backbone=spec.backbone,
        detector=spec.detector,
    )


def resolved(given: dict[str, Any], options: dict[str, OptionValue]) -> Member:
    """Give the row of a network as `resolve` takes it, or of why it cannot be built."""
    backbone, detector = given["backbone"], given.get("detector")
    try:
        row = row_of(catalogue.resolve(**given, options=options))
    except UsageError as error:
        label = " + ".join(filter(None, (backbone, detector)))
        row = Member(label, None, error.fact, kind_of_why=error.kind_of_fact)
    return replace(row, backbone=backbone, detector=detector)


def _canonical(backbone: str) -> str:
    try:
        return catalogue.find("backbone", backbone).name
    except UsageError:
        return fold(backbone)


def _detector(name: str) -> tuple[str, int | None]:
    try:
        entry, side = catalogue.find_detector(name)
    except UsageError:
        return fold(name), None
    return entry.name, side
