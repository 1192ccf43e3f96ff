"""transformers:FOLDER, by a small stand-in: what a config.json says is made, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import archbench
from archbench.cli.main import run
from archbench.spec import UsageError, without_hash
from archbench.zoo import catalogue

TINY = {"architectures": ["TinyForObjectDetection"], "width": 2, "image_size": [32, 64]}

pytestmark = pytest.mark.usefixtures("known_standins")


def configure(folder: str, said: Any) -> str:
    """Write a folder's configuration; gives what names it."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    text = said if isinstance(said, str) else json.dumps(said)
    Path(folder, "config.json").write_text(text)
    return f"transformers:{folder}"


def test_a_folder_is_counted_at_its_own_input() -> None:
    report = archbench.cost(configure("tiny", TINY))
    assert report.macs == 3 * 6 * 32 * 64
    assert report.params == 18
    assert archbench.cost("transformers:tiny", size=8, width=1, classes=5).macs == 3 * 5 * 64


def test_two_versions_of_a_configuration_are_two_networks() -> None:
    name = configure("tiny", TINY)
    first = catalogue.resolve(name).spec
    assert (first.width, first.height) == (64, 32)
    assert without_hash(first.backbone) == "transformers:./tiny"
    assert catalogue.resolve(first.backbone).spec == first
    configure("tiny", {**TINY, "width": 3})
    assert catalogue.resolve(name).spec != first
    with pytest.raises(UsageError, match=r"tiny is @\w+ now, not @\w+: its config.json has chan"):
        catalogue.resolve(first.backbone)


def test_the_order_of_a_configuration_is_no_other_one() -> None:
    name = configure("tiny", TINY)
    first = catalogue.resolve(name).spec
    configure("tiny", dict(reversed(TINY.items())))
    assert catalogue.resolve(name).spec == first


def test_a_folder_in_a_file_is_written_from_the_working_folder() -> None:
    configure("suites/tiny", TINY)
    assert catalogue.verbatim("transformers:tiny", "suites") == "transformers:suites/tiny"
    assert catalogue.verbatim("transformers:gone", "suites") == "transformers:gone"
    assert catalogue.verbatim("transformers:./gone@0123af", "a") == "transformers:a/gone@0123af"


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({**TINY, "auto_map": {"AutoConfig": "own.Config"}}, r"custom code \(auto_map\)"),
        ({**TINY, "architectures": ["Absent"]}, "transformers 0 has no network 'Absent'"),
        ({**TINY, "architectures": ["pipeline"]}, "transformers 0 has no network 'pipeline'"),
        ({**TINY, "architectures": ["TinyModel"]}, "TinyModel reads input_ids, not images"),
        ({"image_size": 32}, "its configuration names no class"),
        ({"architectures": ["TinyForObjectDetection"]}, "no default input size: give one"),
        ("[1]", "not a JSON object"),
        ("{", "config.json cannot be read: Expecting"),
    ],
)
def test_what_is_not_made_of_a_folder_is_said_in_a_line(said: Any, refusal: str) -> None:
    with pytest.raises(UsageError, match=refusal) as caught:
        archbench.cost(configure("tiny", said))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("TinyForObjectDetection", "TinyForObjectDetection runs as a whole: for a detector, use"),
        ("StagedForImageClassification", "StagedForImageClassification runs as a whole: for a de"),
        ("BareBackbone", "BareBackbone cannot be told which maps to give: it has no out_features"),
    ],
)
def test_what_gives_no_maps_is_no_backbone(name: str, refusal: str) -> None:
    """A past bug: a classifier with the configuration of a backbone was taken for one."""
    for named in (name, configure("whole", {**TINY, "architectures": [name]}).partition(":")[2]):
        with pytest.raises(UsageError, match=refusal):
            archbench.build(f"transformers:{named}", "retinanet", size=64, device="meta")


@pytest.mark.parametrize("name", ["owner/network", "./absent", "/absent"])
def test_a_name_of_a_hub_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["count", f"transformers:{name}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "archbench downloads nothing: give a folder with a config.json" in line


@pytest.mark.parametrize(
    "option", [{"pretrained": True}, {"weights": "DEFAULT"}, {"use_pretrained_backbone": True}]
)
def test_no_option_fetches_weights(option: dict[str, Any]) -> None:
    configure("tiny", TINY)
    for name in ("transformers:tiny", "timm:chain"):
        with pytest.raises(UsageError, match=f"no option {next(iter(option))}: weights are random"):
            archbench.cost(name, **option)
