"""How well networks are predicted from others, families left out, beside two simpler ways.

    python benchmarks/prediction.py [DIR ...] [--word latency_ms] [--roofs DIR] [--draws 10]

DIR are results folders; without one, the committed pairs. Prints for each setup, of every network
predicted by those that share neither its backbone's nor its detector's family: the median and the
90th percentile of the errors of archbench's fit, of a constant a multiply-add, and of the roofline
times a constant (its peaks from the records in --roofs); how many networks lie inside the measured
range, and how often their 90 % intervals hold; and the same of random parts of the records, by
their number.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles

from archbench.known import find_cost
from archbench.measure.roofline.bounds import Roofline
from archbench.records import Store
from archbench.report.data.configurations import Configuration, configurations, measured_setups
from archbench.report.data.prediction import Networks, Prediction, Predictor, Sample, Work
from archbench.report.data.prediction.fitting import crossed
from archbench.zoo import catalogue

COMMITTED = Path(__file__).parent.parent / "results"
SIZES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
Row = tuple[Configuration, Sample]


def main() -> None:
    """Read the records, print a part for each setup."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "folders", nargs="*", type=Path, default=[COMMITTED / "amd-epyc-2-threads-pairs"]
    )
    parser.add_argument("--word", default="latency_ms")
    parser.add_argument("--roofs", type=Path, default=COMMITTED / "amd-epyc-2-threads")
    parser.add_argument("--draws", type=int, default=10)
    asked = parser.parse_args()
    records = [record for folder in asked.folders for record in Store(folder).read()]
    for setup, found in measured_setups(configurations(records)).items():
        rows = list(measured(found, asked.word))
        samples = [sample for _, sample in rows]
        print(f"{setup}\n{asked.word} of {len(samples)} networks, each by those of other families")
        if len(crossed(samples)) < 8:
            print("too few of other families\n")
            continue
        print(f"\n{'':26}{'networks':>10}{'median':>10}{'90 %':>10}")
        tell("four costs", crossed(samples))
        tell("one a multiply-add", crossed([simpler(each, macs_of(each)) for each in samples]))
        roofs = roofline(asked.roofs, setup)
        if roofs:
            tell("roofline x constant", crossed([bounded(row, roofs) for row in rows]))
        else:
            print(f"roofline: no record of this setup in {asked.roofs} has the peaks")
        curve(samples, asked.draws)


def measured(found: Sequence[Configuration], word: str) -> Iterator[Row]:
    """The configurations of inference that have a figure, as samples."""
    networks = Networks(lambda spec: find_cost(spec).totals(), catalogue.families)
    for each in found:
        estimate = each.estimate(word)
        network = networks.find(each.spec, each.newest.counts)
        if estimate and network and each.spec.mode == "infer":
            yield each, Sample(network, estimate.value)


def macs_of(sample: Sample) -> float:
    """All multiply-adds of a call."""
    return sample.network.work.multiply_adds + sample.network.work.depthwise


def simpler(sample: Sample, amount: float) -> Sample:
    """The sample as if a single amount were all that is known of it."""
    return replace(sample, network=replace(sample.network, work=Work(amount, 0.0, 0.0, 0.0)))


def roofline(folder: Path, setup: str) -> Roofline | None:
    """The peaks that a record of a setup holds."""
    by_setup = measured_setups(configurations(Store(folder).read()))
    found = (Roofline.from_conditions(each.newest.conditions) for each in by_setup.get(setup, ()))
    return next(filter(None, found), None)


def bounded(row: Row, roofs: Roofline) -> Sample:
    """The sample with its roofline bound as all that is known of it."""
    configuration, sample = row
    return simpler(sample, 1e3 * roofs.bound_all(find_cost(configuration.spec)))


def tell(name: str, ratios: Sequence[float]) -> None:
    """Print the errors of ratios of predicted to measured."""
    print(f"{name:26}{len(ratios):10}{shares(ratios)}", flush=True)


def shares(ratios: Sequence[float]) -> str:
    """The median and the 90th percentile of the errors, in per cent."""
    errors = [abs(ratio - 1) for ratio in ratios]
    p90 = quantiles(errors, n=10, method="inclusive")[-1]
    return f"{median(errors):10.1%}{p90:10.1%}"


def curve(samples: Sequence[Sample], draws: int) -> None:
    """Print what random parts of the records predict of all the others, and the whole of itself."""
    draw = random.Random(0)
    print(
        f"\n{'records':>26}{'predicted':>10}{'median':>10}{'90 %':>10}{'interval x/÷':>14}"
        f"{'holds':>8}"
    )
    for size in [*(size for size in SIZES if size < len(samples)), len(samples)]:
        found: list[tuple[Prediction, float]] = []
        asked = 0
        for _ in range(draws if size < len(samples) else 1):
            part = draw.sample(samples, size)
            others = [each for each in samples if each not in part] or samples
            predictor = Predictor(part)
            predicted = [(predictor.predict(each.network), each.value) for each in others]
            found += [(made, value) for made, value in predicted if isinstance(made, Prediction)]
            asked += len(others)
        if len(found) < 2:
            print(f"{size:26}{len(found) / asked:10.0%}")
            continue
        holds = [made.interval[0] <= value <= made.interval[1] for made, value in found]
        factor = median(made.error.factor for made, _ in found)
        ratios = [made.value / value for made, value in found]
        print(
            f"{size:26}{len(found) / asked:10.0%}{shares(ratios)}{factor:14.2f}"
            f"{sum(holds) / len(holds):8.1%}",
            flush=True,
        )
    print()


if __name__ == "__main__":
    main()
