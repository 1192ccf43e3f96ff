"""What may be set against one another, and what keeps the rest apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from archbench.quantities import COUNTED
from archbench.reasons import Flag
from archbench.records import Metric, Record
from archbench.report.data.comparable import conditions, differing, flaws, setups, where
from archbench.setting import Bearing
from archbench.settings import SETTINGS, Settings

Make = Callable[..., Record]
CARD = {
    "device": "cuda:0",
    "device_name": "Example GPU",
    "uuid": "GPU-1",
    "torch": "2.13.0+cu130",
    "driver": "580.65.06",
    "cudnn": 91002,
}
SET = {"power_limit_w": 350.0, "application_clock_mhz": 1410, "ecc": True}
"""What an administrator sets."""


def on_card(record: Make, **changes: Any) -> Record:
    return record(energy_j=2.0, environment=CARD | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"batch": 8}, ["batch (1, 8)"]),
        ({"size": 512}, ["input (320x320, 512x512)"]),
        ({"settings": Settings(precision="fp16")}, ["precision (fp32, fp16)"]),
        (
            {"settings": Settings(memory_format="channels_last")},
            ["memory format (contiguous, channels_last)"],
        ),
        ({"settings": Settings(fold_bn=True)}, ["batch norms folded (no, yes)"]),
        ({"settings": Settings(engine="compile")}, ["engine (eager, compile)"]),
        ({"settings": Settings(cuda_graph=True)}, ["CUDA graph (no, yes)"]),
        ({"settings": Settings(cudnn_benchmark=False)}, ["cudnn.benchmark (yes, no)"]),
        ({"settings": Settings(weights="a.pt")}, ["loaded weights (no, yes)"]),
        ({"settings": Settings(images="folder")}, ["pictures (no, yes)"]),
        ({"settings": Settings(deterministic=True)}, ["deterministic (no, yes)"]),
        (
            {"gpu": False},
            [
                "device (Example GPU, Example CPU)",
                "cudnn.benchmark (yes, -)",
                "threads (-, 2 threads)",
            ],
        ),
    ],
)
def test_a_difference_is_named(record: Make, changes: dict[str, Any], expected: list[str]) -> None:
    spec = {"detector": "refinedet"} if "size" in changes else {}
    assert differing(record(**spec), record(**spec, **changes), "latency_ms") == expected


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_keeps_figures_apart_as_it_declares(record: Make, name: str) -> None:
    keys = conditions(record())
    assert (name in keys) == (SETTINGS[name].bearing is Bearing.FIGURE or name == "device")


def test_protocol_and_unit_are_part_of_a_figure(record: Make) -> None:
    made = record()
    other = replace(
        made, measured=made.measured | {"latency_ms": Metric(20.0, "s", protocol="model+post")}
    )
    assert differing(made, other, "latency_ms") == ["unit (ms, s)", "protocol (model, model+post)"]


def test_networks_may_differ(record: Make) -> None:
    assert differing(record(), record("resnet50-v1"), "latency_ms") == []


def test_what_only_says_how_well_a_figure_is_known_may_differ(record: Make) -> None:
    other = Settings(
        target=0.02,
        n_min=20,
        n_max=30,
        t_min_s=0.5,
        budget_s=5.0,
        energy_s=5.0,
        threads=1,
        seed=3,
        roofline=True,
        deadline_s=9.0,
        device="cuda:1",
        allow_shared=True,
    )
    assert differing(record(), record(settings=other), "latency_ms") == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"torch": "2.12.1"}, ["torch (2.13, 2.12)"]),
        ({"torch": "2.13.1"}, []),
        ({"driver": "575.1"}, ["driver (580, 575)"]),
        ({"cudnn": 8902}, ["cuDNN (9, 8)"]),
        ({"cudnn": 91900}, []),
        ({"uuid": "GPU-2"}, []),
    ],
)
def test_libraries_count_by_their_major_versions(
    record: Make, change: dict[str, Any], expected: list[str]
) -> None:
    assert differing(on_card(record), on_card(record, **change), "latency_ms") == expected


def test_energy_is_of_one_card(record: Make) -> None:
    assert differing(on_card(record), on_card(record, uuid="GPU-2"), "energy_per_image_j") == [
        "card (GPU-1, GPU-2)"
    ]


@pytest.mark.parametrize("word", COUNTED)
def test_counts_depend_on_none_of_it_but_those_of_bytes_on_the_batch(
    record: Make, word: str
) -> None:
    other = record(batch=8, gpu=False, settings=Settings(precision="fp16"))
    expected = ["batch (1, 8)"] if COUNTED[word].unit == "bytes" else []
    assert differing(record(), other, word) == expected


def test_what_is_meant_to_differ_is_left_out(record: Make) -> None:
    small, large = (record(detector="refinedet", size=side) for side in (320, 512))
    assert differing(small, large, "latency_ms", ignore=["input"]) == []


def test_a_place_says_what_is_not_usual(record: Make) -> None:
    assert where(record()) == "Example GPU, fp32, contiguous"
    assert (
        where(record(settings=Settings(cuda_graph=True, deterministic=True)))
        == "Example GPU, fp32, contiguous, CUDA graph, deterministic"
    )
    assert (
        where(record(settings=Settings(engine="compile:max-autotune")))
        == "Example GPU, compile:max-autotune, fp32, contiguous"
    )
    assert where(record(settings=None)) == "counted, not measured"


def test_places_that_differ_in_versions_alone_tell_them(record: Make) -> None:
    made = setups([on_card(record), on_card(record, torch="2.12.0"), record()])
    assert list(made) == [
        "Example GPU, fp32, contiguous, torch 2.13, driver 580, cuDNN 9",
        "Example GPU, fp32, contiguous, torch 2.12, driver 580, cuDNN 9",
        "Example GPU, fp32, contiguous",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"power_limit_w": 300.0}, ["power limit (350 W, 300 W)"]),
        ({"application_clock_mhz": 1100}, ["application clock (1410 MHz, 1100 MHz)"]),
        ({"ecc": False}, ["ECC (on, off)"]),
    ],
)
def test_what_was_set_of_the_card_keeps_records_apart(
    record: Make, change: dict[str, Any], expected: list[str]
) -> None:
    as_it_was, changed = on_card(record, **SET), on_card(record, **SET | change)
    assert differing(as_it_was, changed, "latency_ms") == expected


def test_places_that_differ_in_what_was_set_of_the_card_tell_it(record: Make) -> None:
    limits = [on_card(record, **SET), on_card(record, **SET | {"power_limit_w": 300.0})]
    assert list(setups(limits)) == [
        "Example GPU, fp32, contiguous, power limit 350 W",
        "Example GPU, fp32, contiguous, power limit 300 W",
    ]


def test_flaws_are_the_flags_that_forbid_comparing() -> None:
    flags = [Flag.POWER_CAPPED, Flag.CI_NOT_MET, Flag.LAUNCH_BOUND, Flag.THROTTLED]
    assert flaws(flags) == [Flag.CI_NOT_MET, Flag.THROTTLED]
    assert flaws([Flag("of_a_later_version")]) == []
