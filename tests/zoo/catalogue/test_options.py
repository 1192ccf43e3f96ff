"""Options, requests and pairs: what may be asked of networks, and their defaults."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from listed import BACKBONES, DETECTORS, HEADS, TRUNK, names

from archbench.spec import OptionValue, Spec, UsageError
from archbench.zoo import catalogue
from archbench.zoo.catalogue import Entry, find, network, resolve


def random_options(entry: Entry, draw: random.Random) -> dict[str, OptionValue]:
    """Draw values for some of an entry's options."""
    drawn: dict[str, OptionValue] = {}
    for option in entry.options.values():
        if draw.random() < 0.5:
            numbers: tuple[OptionValue, ...] = (
                (0.25, 0.3, 1.0, 2.0) if option.type == "float" else (1, 2, 3)
            )
            drawn[option.name] = draw.choice(option.values or numbers)
    return drawn


class TestOptions:
    @pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
    def test_whatever_is_asked_is_what_is_built(self, every: int) -> None:
        """The normal form keeps every option that was given, and is its own normal form; by default
        on one detector in nine, another for each backbone.
        """
        for number, backbone in enumerate(names(BACKBONES)):
            for detector, seed in [
                *((None, seed) for seed in range(3)),
                *((name, 0) for name in names(DETECTORS)[number % every :: every]),
            ]:
                draw = random.Random(f"{backbone} {detector} {seed}")
                options = random_options(find("backbone", backbone), draw)
                if detector or not find("backbone", backbone).classes:
                    options.pop("classifier", None)
                if detector:
                    options |= random_options(find("detector", detector), draw)
                self.check(backbone, detector, options)

    @staticmethod
    def check(backbone: str, detector: str | None, options: dict[str, OptionValue]) -> None:
        network = resolve(backbone, detector, **options)
        spec, asked = network.spec, (backbone, detector, options)
        assert {key: network.options[key] for key in options} == options, asked
        again = resolve(
            spec.backbone,
            spec.detector,
            size=spec.size,
            classes=spec.classes,
            **dict(spec.options),
        ).spec
        assert again == spec, asked

    def test_defaults_are_not_written(self) -> None:
        assert (
            resolve("resnet50", stem="imagenet", width=1, stride_on="3x3", classifier="linear").spec
            == resolve("resnet50").spec
        )
        assert resolve("vgg16", fc="linear").spec == resolve("vgg16").spec
        assert resolve("vgg16", classes=0, fc="none").spec == resolve("vgg16", classes=0).spec

    @pytest.mark.parametrize(
        ("detector", "options", "stem", "identity"),
        [
            (None, {}, "conv", True),
            (None, {"stem": "pool"}, "pool", False),
            (None, {"stem": "pool", "identity": True}, "pool", True),
            (None, {"identity": False}, "conv", False),
            ("refinedet", {}, "pool", False),
            ("refinedet", {"stem": "conv"}, "conv", True),
            ("refinedet", {"stem": "conv", "identity": False}, "conv", False),
            ("refinedet", {"identity": True}, "pool", True),
        ],
    )
    def test_the_identity_follows_the_stem_and_the_stem_the_detector(
        self, detector: str | None, options: dict[str, OptionValue], stem: str, identity: bool
    ) -> None:
        settled = resolve("vovnet39", detector, **options).backbone_options
        assert (settled["stem"], settled["identity"]) == (stem, identity)

    def test_an_option_that_follows_another_is_not_written(self) -> None:
        assert resolve("vovnet39", "refinedet", stem="conv").spec.options == (("stem", "conv"),)
        assert resolve("vovnet39", "refinedet", stem="conv", identity=True).spec.options == (
            ("stem", "conv"),
        )

    @pytest.mark.parametrize(
        ("backbone", "option", "set_to", "other"),
        [
            ("vgg16", "fc", "conv-s2", "conv"),
            ("resnet50", "stem_pool", "ceil", "pad"),
            ("vovnet57", "stem", "pool", "conv"),
        ],
    )
    def test_a_detector_fills_in_but_never_overrides(
        self, backbone: str, option: str, set_to: str, other: str
    ) -> None:
        assert resolve(backbone, "refinedet").backbone_options[option] == set_to
        assert (
            resolve(backbone, "refinedet", **{option: set_to}).spec
            == resolve(backbone, "refinedet").spec
        )
        assert resolve(backbone, "refinedet", **{option: other}).backbone_options[option] == other
        assert resolve(backbone).backbone_options[option] != set_to

    def test_an_option_that_both_declare_goes_to_both(self, zoo: Path) -> None:
        (zoo / "backbones/trunk.toml").write_text(TRUNK)
        (zoo / "detectors/heads.toml").write_text(HEADS)
        network = resolve("trunk", "yolov3", activation="swish")
        assert network.backbone_options["activation"] == "swish"
        assert network.detector_options["activation"] == "swish"
        assert resolve("trunk", "yolov3").detector_options["activation"] == "relu"

    def test_a_published_only_network_says_why(self, zoo: Path) -> None:
        (zoo / "backbones/trunk.toml").write_text(TRUNK)
        with pytest.raises(UsageError, match="no public layer list"):
            resolve("lost")

    @pytest.mark.parametrize(
        ("backbone", "options", "message"),
        [
            (
                "resnet50",
                {"colour": 1},
                "classifier, middle_width, norm, output_stride, stem, stem_pool, stride_on, width",
            ),
            ("resnet50", {"stme": "cifar"}, "did you mean stem"),
            ("densenet121", {"norm": "gn"}, "classifier"),
            ("vovnet27-slim", {"norm": "gn"}, "32 groups do not divide"),
            ("resnet18", {"stride_on": "1x1"}, "no option stride_on: it is about bottlenecks"),
            ("resnet50", {"stem": "conv"}, "imagenet, cifar"),
            ("resnet50", {"output_stride": 4}, "32, 16, 8"),
            ("vovnet39", {"identity": "yes"}, "false, true"),
            ("resnet50", {"width": "wide"}, "above 0"),
            ("resnet50", {"width": 0}, "above 0"),
            ("resnet50", {"width": -0.5}, "above 0"),
            ("resnet50", {"width": True}, "above 0"),
            ("resnet50", {"width": float("nan")}, "above 0"),
            ("resnet50", {"width": float("inf")}, "width"),
        ],
        ids=str,
    )
    def test_a_wrong_option_says_what_there_is(
        self, backbone: str, options: dict[str, OptionValue], message: str
    ) -> None:
        with pytest.raises(UsageError, match=message):
            resolve(backbone, **options)

    def test_under_a_detector_both_lists_are_shown_and_there_is_no_classifier(self) -> None:
        with pytest.raises(UsageError, match="resnet50 and refinedet take no option colour"):
            resolve("resnet50", "refinedet", colour=1)
        with pytest.raises(UsageError, match="no classifier under refinedet"):
            resolve("resnet50", "refinedet", classifier="conv")


class TestRequests:
    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"size": 300}, "multiples of 64"),
            ({"size": (320, 300)}, "multiples of 64"),
            ({"size": "300x320"}, "multiples of 64"),
            ({"size": 0}, "sides of at least 1"),
            ({"size": "big"}, "invalid size 'big'"),
            ({"batch": 0}, "invalid batch 0"),
            ({"batch": -3}, "invalid batch -3"),
            ({"classes": 0}, "invalid classes 0"),
            ({"classes": -1}, "invalid classes -1"),
        ],
        ids=str,
    )
    def test_what_a_detector_refuses(self, asked: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            resolve("vovnet39", "refinedet", **asked)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"classes": -1}, "invalid classes -1"),
            ({"batch": 0}, "invalid batch 0"),
            ({"size": (0, 5)}, "sides of at least 1"),
        ],
        ids=str,
    )
    def test_what_a_backbone_alone_refuses(self, asked: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            resolve("vovnet39", **asked)  # type: ignore[arg-type]

    def test_size_classes_and_batch_stand_in_the_spec(self) -> None:
        spec = resolve("vovnet39", "refinedet", size="640x384", classes=20, batch=4).spec
        assert spec == Spec("vovnet39", "refinedet", 640, 384, 20, batch=4)
        assert resolve("vovnet39", classes=0, size=300).spec == Spec("vovnet39", None, 300, 300, 0)


PAIRED = """
builder = "heads:heads"
source = "a test"
input = "64x64"
classes = 2
taps = ["c3"]
round_up = 32
[options.neck]
values = ["plain", "rich"]
default = { activation = { swish = "rich", else = "plain" } }
[options.votes]
type = "int"
default = 5
[on.trunk]
sets = { stem = "pool" }
taps = ["c4"]
defaults = { votes = 7 }
arguments = { side = 17, depth = 1 }
[networks.near]
[networks.far]
arguments = { depth = 2 }
defaults = { votes = 9 }
[networks.far.on.trunk]
sets = { activation = "swish" }
defaults = { votes = 11 }
"""


SWISH = """
[suffixes.swish]
options = { activation = "swish" }
"""


KIN = """
builder = "kin:kin"
source = "a test"
input = "32x32"
classes = 10
like = "trunk:trunk"
[options.depth]
type = "int"
default = 3
[networks.kin]
named = ["swish"]
[networks.odd]
like = ""
"""


class TestPairing:
    @pytest.fixture(autouse=True)
    def paired(self, zoo: Path) -> None:
        (zoo / "backbones/trunk.toml").write_text(TRUNK + SWISH)
        (zoo / "backbones/other.toml").write_text(
            TRUNK.replace("trunk", "other").replace("lost", "gone")
        )
        (zoo / "detectors/heads.toml").write_text(PAIRED)

    def test_a_detector_is_its_own_on_a_family(self) -> None:
        near, far = (find("detector", name) for name in ("near", "far"))
        assert [entry.on_family("trunk").taps for entry in (near, far)] == [("c4",), ("c4",)]
        assert near.on_family("other").taps == ("c3",)
        assert near.on_family("trunk").arguments == {"side": 17, "depth": 1}
        assert far.on_family("other").arguments == {"depth": 2}

    @pytest.mark.parametrize(
        ("backbone", "detector", "votes"),
        [("trunk", "near", 7), ("other", "near", 5), ("trunk", "far", 11), ("other", "far", 9)],
    )
    def test_the_nearest_default_holds_and_is_not_written(
        self, backbone: str, detector: str, votes: int
    ) -> None:
        spec = resolve(backbone, detector).spec
        assert network(spec).detector_options["votes"] == votes
        assert resolve(backbone, detector, votes=votes).spec == spec
        assert resolve(backbone, detector, votes=3).spec.options == (("votes", 3),)

    def test_a_family_like_another_takes_its_options_and_stands_as_it(self, zoo: Path) -> None:
        (zoo / "backbones/kin.toml").write_text(KIN)
        catalogue.forget()
        kin, odd = (find("backbone", name) for name in ("kin", "odd"))
        assert (kin.stands_as, odd.stands_as) == ("trunk", "kin")
        assert kin.options.keys() == {"activation", "stem", "classifier", "depth"}
        assert odd.options.keys() == {"classifier", "depth"}
        assert find("backbone", "kin-swish").preset == {"activation": "swish"}
        assert (
            resolve("kin", "near").backbone_options["stem"]
            == resolve("trunk", "near").backbone_options["stem"]
            == "pool"
        )
        assert [resolve(name, "near").detector_options["votes"] for name in ("kin", "odd")] == [
            7,
            5,
        ]
        with pytest.raises(UsageError, match=r"^odd takes no option stem; there are classifier"):
            resolve("odd", stem="pool")

    def test_a_row_adds_to_what_its_family_sets(self) -> None:
        assert resolve("trunk", "far").backbone_options == {
            "activation": "swish",
            "stem": "pool",
            "classifier": "linear",
        }
        assert resolve("trunk", "near").backbone_options["activation"] == "relu"

    def test_a_detector_s_default_may_follow_the_backbone(self) -> None:
        assert resolve("trunk", "near").detector_options["neck"] == "plain"
        assert resolve("trunk", "near", activation="swish").detector_options["neck"] == "rich"
        assert (
            resolve("trunk", "near", activation="swish", neck="rich").spec
            == resolve("trunk", "near", activation="swish").spec
        )
        assert resolve("trunk", "far").detector_options["neck"] == "rich"

    @pytest.mark.parametrize(
        ("asked", "size"),
        [(64, "64x64"), ("65x64", "96x64"), ("1333x800", "1344x800"), (1, "32x32")],
    )
    def test_sides_are_rounded_up(self, asked: str | int, size: str) -> None:
        assert resolve("trunk", "near", size=asked).spec.size == size


@pytest.mark.parametrize(
    ("detector", "given", "padding"),
    [
        (None, {}, "valid"),
        ("refinedet", {}, "same-all"),
        ("faster-rcnn", {}, "same"),
        ("rfcn", {"padding": "valid"}, "valid"),
    ],
)
def test_a_default_may_follow_the_detector(
    detector: str | None, given: dict[str, OptionValue], padding: str
) -> None:
    assert resolve("inception-v3", detector, **given).backbone_options["padding"] == padding


@pytest.mark.parametrize(
    ("backbone", "detector", "name", "value"),
    [
        ("vgg16", "faster-rcnn", "second_stage_pool", True),
        ("resnet50", "faster-rcnn", "second_stage_pool", True),
        ("inception-v2", "faster-rcnn", "second_stage_pool", False),
        ("resnet101-slim", "rfcn", "bins", 7),
        ("inception-resnet-v2", "rfcn", "bins", 7),
        ("mobilenet", "rfcn", "bins", 3),
        ("inception-v2", "rfcn", "bins", 3),
        ("resnet50-v1", "rfcn-caffe", "anchors", 9),
        ("resnet50-v1", "faster-rcnn-c4", "objectness", "sigmoid"),
        ("vgg16", "faster-rcnn-caffe", "objectness", "softmax"),
        ("vgg16", "ssd-huang", "predictor_kernel", 3),
        ("mobilenet", "ssd-huang", "predictor_kernel", 1),
        ("resnet50-gn", "mask-rcnn-fpn", "box_head", "4conv1fc"),
        ("resnext101-64x4d", "mask-rcnn-fpn", "box_head", "2fc"),
        ("densenet121", "mask-rcnn-fpn", "box_head", "2fc"),
        ("resnet50", "faster-rcnn-fpn", "proposals", 1000),
        ("resnet50", "rfcn", "proposals", 300),
    ],
)
def test_published_defaults(backbone: str, detector: str, name: str, value: OptionValue) -> None:
    assert resolve(backbone, detector).detector_options[name] == value


@pytest.mark.parametrize(
    ("detector", "option"),
    [
        ("faster-rcnn", "proposals"),
        ("faster-rcnn-fpn", "proposals"),
        ("mask-rcnn-fpn", "proposals"),
        ("mask-rcnn-fpn", "detections"),
        ("thundernet", "proposals"),
    ],
)
def test_help_says_that_crops_are_counted(detector: str, option: str) -> None:
    """A past error: it called these numbers the size of the crops."""
    assert find("detector", detector).options[option].help.startswith(f"number of {option} passed")
