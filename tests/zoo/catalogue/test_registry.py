"""Names, shorthand, options and defaults: what a user writes and the one spec it means."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from archbench.spec import OptionValue, Spec, UsageError
from archbench.spelling import fold
from archbench.zoo import catalogue
from archbench.zoo.catalogue import Entry, Kind, entries, family, find, network, resolve

BACKBONES = entries("backbone")
DETECTORS = entries("detector")


def names(kept: tuple[Entry, ...]) -> list[str]:
    return [entry.name for entry in kept if not entry.published_only]


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


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A zoo of files that a test writes itself, in `backbones` and `detectors`."""
    folders: dict[Kind, Path] = {
        "backbone": tmp_path / "backbones",
        "detector": tmp_path / "detectors",
    }
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.setattr(family, "FOLDERS", folders)
    catalogue.forget()
    yield tmp_path
    catalogue.forget()


TRUNK = """
builder = "trunk:trunk"
source = "a test"
input = "32x32"
classes = 10
[options.activation]
values = ["relu", "swish"]
[options.stem]
values = ["conv", "pool"]
[networks.trunk]
[networks.lost]
published_only = "no public layer list"
"""
HEADS = """
source = "a test"
input = "416x416"
classes = 80
[options.activation]
values = ["relu", "swish"]
[on.trunk.sets]
stem = "pool"
[networks.yolov3]
[networks.yolov]
[networks.ssd-300x]
"""


class TestNames:
    def test_a_listed_name_is_its_own_normal_form(self) -> None:
        found, expected = {}, {}
        for name in names(BACKBONES):
            entry, spec = find("backbone", name), resolve(name).spec
            found[name] = (spec.backbone, spec.options, spec.width, spec.height, spec.classes)
            expected[name] = (name, (), *entry.size, entry.classes)
        assert found == expected

    def test_what_is_published_only_cannot_be_built(self) -> None:
        for entry in BACKBONES:
            if entry.published_only:
                with pytest.raises(UsageError, match=f"^{entry.name} cannot be built"):
                    resolve(entry.name)

    def test_a_listed_detector_is_found_under_its_name(self) -> None:
        found = {entry.name: catalogue.find_detector(entry.name) for entry in DETECTORS}
        assert found == {entry.name: (entry, None) for entry in DETECTORS}

    @pytest.mark.parametrize("kind", ["backbone", "detector"])
    def test_no_two_names_fold_alike(self, kind: Kind) -> None:
        every = [fold(name) for entry in entries(kind) for name in (entry.name, *entry.aliases)]
        assert len(set(every)) == len(every)

    @pytest.mark.parametrize(
        ("spelling", "name"),
        [
            ("VoVNet-39", "vovnet39"),
            ("vovnet_39", "vovnet39"),
            ("VOVNET 27 SLIM", "vovnet27-slim"),
            ("ResNet50-V1", "resnet50-v1"),
            ("resnet50 x0.25", "resnet50-x0.25"),
            ("WRN-50-2 (bottleneck)", "wrn-50-2-bottleneck"),
            ("VGG-16", "vgg16"),
            ("ResNeXt-50", "resnext50-32x4d"),
            ("DenseNet-BC-k24 CIFAR", "densenet-bc-k24-cifar"),
        ],
    )
    def test_case_and_punctuation_do_not_matter(self, spelling: str, name: str) -> None:
        assert resolve(spelling).spec == resolve(name).spec
        assert resolve(spelling).spec.backbone == name

    @pytest.mark.parametrize(
        ("spelling", "size"),
        [
            ("refinedet", 320),
            ("refinedet320", 320),
            ("RefineDet-512", 512),
            ("refine_det 64", 64),
            ("refinedet1024", 1024),
        ],
    )
    def test_a_number_after_a_detector_is_its_side(self, spelling: str, size: int) -> None:
        assert (
            resolve("vovnet39", spelling).spec == resolve("vovnet39", "refinedet", size=size).spec
        )

    def test_a_side_and_the_same_size_agree(self) -> None:
        assert (
            resolve("vovnet39", "refinedet512", size="512x512").spec
            == resolve("vovnet39", "refinedet", size=512).spec
        )

    def test_a_side_and_another_size_do_not(self) -> None:
        with pytest.raises(UsageError, match="leave one out"):
            resolve("vovnet39", "refinedet320", size=(320, 384))

    def test_the_side_follows_the_longest_name(self, zoo: Path) -> None:
        """yolov3608 is yolov3 at 608, though it could be yolov at 3608 (the names' rule 2)."""
        (zoo / "backbones/trunk.toml").write_text(TRUNK)
        (zoo / "detectors/heads.toml").write_text(HEADS)
        assert resolve("trunk", "yolov3-608").spec == resolve("trunk", "yolov3", size=608).spec
        assert resolve("trunk", "YOLOv3").spec.detector == "yolov3"
        assert resolve("trunk", "yolov-96").spec == resolve("trunk", "yolov", size=96).spec
        assert resolve("trunk", "ssd-300x").spec.size == "416x416"

    @pytest.mark.parametrize("name", ["refinedet0", "refinedet99999", "refinedet320x320"])
    def test_a_number_that_is_no_side_is_no_name(self, name: str) -> None:
        with pytest.raises(UsageError):
            resolve("vovnet39", name)

    @pytest.mark.parametrize("spelling", ["osa-12x21", "OSA-12x21", "osa_12x21", "osa12x21"])
    def test_a_name_may_carry_its_numbers(self, spelling: str) -> None:
        spec = resolve(spelling).spec
        assert spec.backbone == "osa-12x21"
        assert find("backbone", spec.backbone).arguments == {"layers": 12, "channels": 21}

    @pytest.mark.parametrize(
        ("kind", "name", "hint"),
        [
            ("backbone", "vovnet93", "vovnet39"),
            ("backbone", "resnt50", "resnet50"),
            ("detector", "refinedt", "refinedet"),
            ("detector", "refindet320", "refinedet"),
            ("backbone", "resnet18-v1", "did you mean"),
            ("backbone", "zzzz", "archbench list"),
            ("backbone", "", "archbench list"),
            ("backbone", "refinedet", "it is a detector"),
            ("detector", "vovnet39", "it is a backbone"),
        ],
    )
    def test_an_unknown_name_says_what_is_near(self, kind: Kind, name: str, hint: str) -> None:
        with pytest.raises(UsageError, match=hint):
            resolve("vovnet39", name).spec if kind == "detector" else resolve(name)

    def test_two_networks_of_one_name_are_a_mistake_in_the_files(self, zoo: Path) -> None:
        (zoo / "backbones/trunk.toml").write_text(TRUNK + '[networks."trun-k"]\n')
        with pytest.raises(ValueError, match="two networks"):
            resolve("trunk")


class TestShorthand:
    @pytest.mark.parametrize(
        ("name", "base", "options"),
        [
            ("resnet50-v1", "resnet50", {"stride_on": "1x1"}),
            ("resnet101-slim", "resnet101", {"stride_on": "3x3-last"}),
            ("resnet50-gn", "resnet50", {"norm": "gn"}),
            ("wrn-50-2-bottleneck", "resnet50", {"middle_width": 2}),
            ("resnet50-x0.25", "resnet50", {"stem": "cifar", "width": 0.25}),
            ("resnet50-x1.0", "resnet50", {"stem": "cifar"}),
            ("resnet50-x0.25-wrn", "resnet50", {"stem": "cifar", "width": 0.25, "middle_width": 2}),
            ("resnext50-x0.25", "resnext50-32x4d", {"stem": "cifar", "width": 0.25}),
            ("vovnet39-gn", "vovnet39", {"norm": "gn"}),
            ("vovnet27-slim-bottleneck", "vovnet27-slim", {"bottleneck": True}),
        ],
    )
    def test_a_listed_shorthand_is_its_expansion(
        self, name: str, base: str, options: dict[str, OptionValue]
    ) -> None:
        assert resolve(name).spec == resolve(base, **options).spec
        assert resolve(base, **options).spec.backbone == name

    @pytest.mark.parametrize(
        ("name", "base", "options"),
        [
            ("resnet38-v1", "resnet38", {"stride_on": "1x1"}),
            ("resnet18-gn", "resnet18", {"norm": "gn"}),
            ("resnet50-gn-v1", "resnet50-v1", {"norm": "gn"}),
            ("wrn-50-2-bottleneck-v1", "resnet50", {"stride_on": "1x1", "middle_width": 2}),
            ("resnet77-x0.3", "resnet77", {"stem": "cifar", "width": 0.3}),
            ("resnext50-v1", "resnext50-32x4d", {"stride_on": "1x1"}),
            ("vovnet57-gn-bottleneck", "vovnet57", {"norm": "gn", "bottleneck": True}),
        ],
    )
    def test_endings_combine_where_no_row_lists_them(
        self, name: str, base: str, options: dict[str, OptionValue]
    ) -> None:
        assert resolve(name).spec == resolve(base, **options).spec
        assert resolve(name).spec.options == ()

    @pytest.mark.parametrize(
        ("spelling", "name"),
        [
            ("resnet38v1", "resnet38-v1"),
            ("ResNet 152 GN", "resnet152-gn"),
            ("resnet50v1gn", "resnet50-v1-gn"),
            ("resnet101x2.0", "resnet101-x2.0"),
            ("ResNeXt-101 (64x4d) GN", "resnext101-64x4d-gn"),
            ("peleenextswish", "peleenext-swish"),
            ("resnet50x10", "resnet50-x1.0"),
            ("sesparsepeleenet", "se-sparse-peleenet"),
        ],
    )
    def test_names_with_endings_ignore_punctuation_too(self, spelling: str, name: str) -> None:
        assert resolve(spelling).spec == resolve(name).spec

    @pytest.mark.parametrize(
        ("name", "base", "options"),
        [
            ("se-peleenext", "peleenext", {"se": True}),
            ("se-speleenet-swish", "sparse-peleenet", {"se": True, "activation": "swish"}),
            ("SE-CSP-PeleeNet-g25", "csp-peleenet", {"se": True, "gamma": 0.25}),
            (
                "se-csp-peleenet-fusion-last-g75-swish",
                "csp-peleenet-fusion-last-g75",
                {"se": True, "activation": "swish"},
            ),
        ],
    )
    def test_a_beginning_works_on_the_whole_family(
        self, name: str, base: str, options: dict[str, OptionValue]
    ) -> None:
        assert resolve(name).spec == resolve(base, **options).spec

    @pytest.mark.parametrize("name", ["se-vgg16", "se-resnet101", "se-"])
    def test_it_does_not_on_others(self, name: str) -> None:
        with pytest.raises(UsageError, match="no backbone is called"):
            resolve(name)

    @pytest.mark.parametrize(
        ("name", "options", "plain"),
        [
            ("resnet50-v1", {"stride_on": "3x3"}, "resnet50"),
            ("resnet50-v1", {"stride_on": "3x3-last"}, "resnet50-slim"),
            ("resnet50-x0.25-wrn", {"middle_width": 1}, "resnet50-x0.25"),
            ("wrn-50-2-bottleneck", {"middle_width": 1.0}, "resnet50"),
            ("vovnet27-slim-bottleneck", {"bottleneck": False}, "vovnet27-slim"),
            ("vovnet39-gn", {"norm": "bn"}, "vovnet39"),
        ],
    )
    def test_an_option_takes_a_shorthand_back(
        self, name: str, options: dict[str, OptionValue], plain: str
    ) -> None:
        assert resolve(name, **options).spec == resolve(plain).spec

    @pytest.mark.parametrize(
        "name",
        [
            "resnet18-v1",
            "vovnet27-slim-gn",
            "densenet121-v1",
            "osa-5x43-v1",
            "resnet50-x",
            "resnet50-v2",
        ],
    )
    def test_an_ending_that_a_network_cannot_take_makes_no_name(self, name: str) -> None:
        with pytest.raises(UsageError, match="no backbone is called"):
            resolve(name)

    def test_the_small_networks_bring_their_input_and_classes(self) -> None:
        spec = resolve("resnet50", stem="cifar", width=0.25).spec
        assert (spec.size, spec.classes) == ("32x32", 100)
        assert (
            resolve("resnet50-x0.25", size=64, classes=10).spec.size,
            resolve("resnet50-x0.25", classes=10).spec.classes,
        ) == ("64x64", 10)


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
        with pytest.raises(UsageError, match="resnet50 and refinedet takes no option colour"):
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
            ({"size": 0}, "below 1"),
            ({"size": "big"}, "neither"),
            ({"batch": 0}, "batch is 0"),
            ({"batch": -3}, "batch is -3"),
            ({"classes": 0}, "classes is 0"),
            ({"classes": -1}, "classes is -1"),
        ],
        ids=str,
    )
    def test_what_a_detector_refuses(self, asked: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            resolve("vovnet39", "refinedet", **asked)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"classes": -1}, "classes is -1"),
            ({"batch": 0}, "batch is 0"),
            ({"size": (0, 5)}, "below 1"),
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


def test_a_width_without_a_point_is_not_another_width() -> None:
    assert catalogue.resolve("resnet50-x10").spec.backbone == "resnet50-x10.0"
    assert catalogue.resolve("ResNet50_x0.25").spec.backbone == "resnet50-x0.25"
