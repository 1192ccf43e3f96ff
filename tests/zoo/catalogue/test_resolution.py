"""Names and shorthand: what a user writes and the one spec it means."""

from __future__ import annotations

from pathlib import Path

import pytest
from listed import BACKBONES, DETECTORS, HEADS, TRUNK, names

from archbench.spec import OptionValue, UsageError
from archbench.spelling import fold
from archbench.zoo import catalogue
from archbench.zoo.catalogue import Kind, entries, find, resolve


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
            (
                "backbone",
                "refinedet320",
                r"it is a detector \(archbench profile BACKBONE --detector refinedet320\)",
            ),
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
        with pytest.raises(UsageError, match="unknown backbone"):
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
        with pytest.raises(UsageError, match="unknown backbone"):
            resolve(name)

    def test_the_small_networks_bring_their_input_and_classes(self) -> None:
        spec = resolve("resnet50", stem="cifar", width=0.25).spec
        assert (spec.size, spec.classes) == ("32x32", 100)
        assert (
            resolve("resnet50-x0.25", size=64, classes=10).spec.size,
            resolve("resnet50-x0.25", classes=10).spec.classes,
        ) == ("64x64", 10)


def test_a_width_without_a_point_is_not_another_width() -> None:
    assert catalogue.resolve("resnet50-x10").spec.backbone == "resnet50-x10.0"
    assert catalogue.resolve("ResNet50_x0.25").spec.backbone == "resnet50-x0.25"
