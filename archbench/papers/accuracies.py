"""The accuracies that the papers printed, of one data set at a time: figures of two data sets are
not to be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from archbench.papers.published import Published, figures, ranked_rows
from archbench.spec import OptionValue, Spec, UsageError, origin_of, parse_size
from archbench.spelling import did_you_mean
from archbench.zoo import catalogue

DATASET = "coco-test-dev"
"""The data set on which most pairs have a published accuracy."""
METRICS = ("ap", "map50")
"""What tells a detector's accuracy on a data set: COCO's AP, VOC's mAP; percent."""


@cache
def datasets() -> tuple[str, ...]:
    """The data sets on which detectors have a published accuracy."""
    return tuple(
        dict.fromkeys(
            figure.dataset
            for figure in figures()
            if figure.metric in METRICS and not figure.is_procedure
        )
    )


def dataset_named(name: str) -> str:
    """Check that papers have accuracies on a data set; raises UsageError where they have none."""
    if name not in datasets():
        listed = f"choose from {', '.join(datasets())}"
        raise UsageError(f"unknown data set {name!r} ({did_you_mean(name, datasets(), listed)})")
    return name


@cache
def accuracy_for(spec: Spec, dataset: str = DATASET) -> Published | None:
    """The published accuracy of exactly this network on a data set, whatever the batch; None where
    no paper has one.

    Of several that of the row that stands beside the network, or would if it were of this data set.
    """
    return next(
        (
            figure
            for row in ranked_rows(spec)
            for figure in row
            if figure.dataset == dataset and figure.metric in METRICS
        ),
        None,
    )


@cache
def networks_on(dataset: str = DATASET) -> tuple[Spec, ...]:
    """The networks that can be built and have a published accuracy on a data set."""
    specs = (
        figure.spec()
        for figure in figures()
        if figure.dataset == dataset and figure.metric in METRICS and not figure.is_procedure
    )
    return tuple(dict.fromkeys(spec for spec in specs if spec))


def network_named(
    backbone: str, detector: str | None, size: str | None, options: Mapping[str, OptionValue]
) -> Spec:
    """Find the network that a row of accuracies is of; raises UsageError where there is none.

    What is from elsewhere is taken by its name, and not read.
    """
    if not origin_of(backbone):
        return catalogue.resolve(backbone, detector, size=size, classes=None, options=options).spec
    sides = parse_size(size)
    if sides is None:
        raise UsageError(f"{backbone} needs its input")
    name = catalogue.find_detector(detector)[0].name if detector else None
    given = tuple(sorted(options.items()))
    return Spec(catalogue.verbatim(backbone, "."), name, *sides, classes=None, options=given)
