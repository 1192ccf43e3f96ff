"""What is asked: sizes, options and specs as text and as data."""

from __future__ import annotations

import json
import shlex
from typing import Literal

import numpy as np
import pytest

from archbench.spec import Spec, UsageError, format_value, parse_options, parse_size, parse_value
from archbench.zoo import catalogue

SPECS = [
    catalogue.resolve("vovnet39").spec,
    catalogue.resolve("vovnet39", "refinedet512", stem="conv").spec,
    catalogue.resolve("vovnet39", "refinedet", size=(640, 384), classes=20, batch=8).spec,
    catalogue.resolve("vgg16", classes=0, fc="conv-s2", pool_ceil=True).spec,
    catalogue.resolve("resnet38-v1", size=320, width=1.5).spec,
    catalogue.resolve("osa-12x21").spec,
    catalogue.resolve("resnet50", batch=32, mode="train").spec,
    catalogue.resolve("resnet50-x0.25-wrn", classifier="conv", output_stride=16).spec,
]


def read(command: str) -> Spec:
    """Read a command line back into a spec, as the command line's parser does."""
    mode: Literal["infer", "train"] = "train" if " --train" in command else "infer"
    program, verb, backbone, *words = shlex.split(command.replace(" --train", ""))
    assert (program, verb) == ("archbench", "profile")
    flags: dict[str, list[str]] = {}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        flags.setdefault(flag, []).append(value)
    options = parse_options(flags.pop("--option", []))
    numbers = {
        name: int(flags.pop(f"--{name}")[0])
        for name in ("classes", "batch")
        if f"--{name}" in flags
    }
    detector, size = flags.pop("--detector", [None])[0], flags.pop("--size")[0]
    assert not flags
    return catalogue.resolve(backbone, detector, size=size, mode=mode, **numbers, **options).spec


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (320, (320, 320)),
        ("320", (320, 320)),
        ("1344x800", (1344, 800)),
        (" 64X32 ", (64, 32)),
        ((5, 7), (5, 7)),
        (None, None),
    ],
)
def test_a_size_is_a_side_or_width_by_height(size: object, expected: object) -> None:
    assert parse_size(size) == expected  # type: ignore[arg-type]


def test_a_size_may_be_a_number_of_numpy_s() -> None:
    assert parse_size(np.int64(300)) == parse_size((np.int64(300), 300)) == (300, 300)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "size",
    [
        *("", "x", "320x", "3.5", "-1", "320x320x3", "0x9"),
        *(0, -5, 320.5, (0, 4), (4, -1), (320,), (1, 2, 3), (320.9, 320), (float("nan"), 320)),
    ],
)
def test_another_size_is_a_usage_error(size: object) -> None:
    with pytest.raises(UsageError, match="size"):
        parse_size(size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("16", 16),
        ("-3", -3),
        ("0.25", 0.25),
        ("1e-3", 1e-3),
        ("conv-s2", "conv-s2"),
        ("3x3", "3x3"),
    ],
)
def test_values_are_read_as_the_first_type_that_fits(text: str, value: object) -> None:
    read_value = parse_value(text)
    assert (read_value, type(read_value)) == (value, type(value))


@pytest.mark.parametrize("value", [True, False, 0, 16, 0.25, 2.0, "conv", "3x3-last"])
def test_values_are_written_as_they_are_read(value: object) -> None:
    again = parse_value(format_value(value))  # type: ignore[arg-type]
    assert (again, type(again)) == (value, type(value))


def test_options_are_read_and_the_last_value_holds() -> None:
    assert parse_options(["stem=conv", "stride-on=1x1", " width = 0.5 ", "stem=pool"]) == {
        "stem": "pool",
        "stride_on": "1x1",
        "width": 0.5,
    }


@pytest.mark.parametrize("text", ["stem", "stem=", "=conv", "", " = "])
def test_another_option_text_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="KEY=VALUE"):
        parse_options([text])


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_spec_survives_plain_data(spec: Spec) -> None:
    assert Spec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_spec_survives_its_command_line(spec: Spec) -> None:
    assert read(spec.command()) == spec


@pytest.mark.parametrize(
    "data",
    [{}, {"backbone": "x"}, {**SPECS[0].to_dict(), "colour": "red"}],
    ids=["empty", "partial", "unknown"],
)
def test_other_data_is_no_spec(data: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        Spec.from_dict(data)


def test_a_spec_reads_as_one_line() -> None:
    spec = catalogue.resolve("VGG-16", "RefineDet320", batch=2, pool_ceil=True).spec
    assert str(spec) == "vgg16 + refinedet, 320x320, 80 classes, pool_ceil=true, batch 2"
    assert str(catalogue.resolve("resnet50", classes=0).spec) == "resnet50, 224x224, trunk alone"


OWN = Spec("nets.py:TinyDetector@3fa2c1", None, 320, 320, None, options=(("width", 0.5),))


def test_a_network_from_elsewhere_says_where_by_its_name() -> None:
    names = {
        "vovnet39": "",
        "nets.py:Tiny": "file",
        "package.nets:tiny": "file",
        "timm:convnext_tiny": "timm",
    }
    assert {name: Spec(name, None, 8, 8, None).origin for name in names} == names
    under = Spec("nets.py:tiny", "ssd", 300, 300, 20)
    assert (OWN.is_whole, under.is_whole, SPECS[0].is_whole) == (True, False, False)


def test_a_whole_network_has_classes_only_where_they_were_given() -> None:
    assert str(OWN) == "nets.py:TinyDetector@3fa2c1, 320x320, width=0.5"
    assert OWN.command() == (
        "archbench profile nets.py:TinyDetector@3fa2c1 --size 320x320 --option width=0.5"
    )
    assert Spec.from_dict(json.loads(json.dumps(OWN.to_dict()))) == OWN
