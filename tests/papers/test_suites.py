"""Suites: the papers' tables and figures as lists of networks, and a user's own out of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from archbench.papers.grid import grid
from archbench.papers.published import figures
from archbench.papers.suites import Suite, names, read_suite, suite, suites
from archbench.spec import UsageError
from archbench.zoo import catalogue
from archbench.zoo.catalogue import network, resolve


def read(tmp_path: Path, text: str) -> Suite:
    path = tmp_path / "my.toml"
    path.write_text(text)
    return read_suite(path)


def test_every_published_table_is_a_suite_with_its_rows_in_order() -> None:
    assert {figure.source for figure in figures()} <= set(names())
    labels = list(
        dict.fromkeys(figure.label for figure in figures() if figure.source == "vovnet/table4")
    )
    assert [member.label for member in suite("vovnet/table4").members] == labels


def test_every_suite_has_a_title_and_rows_with_a_network_or_the_reason_why_not() -> None:
    for one in suites():
        assert one.title, one.name
        assert one.members, one.name
        for member in one.members:
            assert (member.spec is None) == bool(member.why), (one.name, member.label)


def test_a_row_carries_its_figures() -> None:
    row = next(member for member in suite("vovnet/table4").members if member.label == "VoVNet-39")
    assert row.spec == resolve("vovnet39", "refinedet320").spec
    assert {figure.metric: figure.value for figure in row.figures}["params_m"] == 56.28


def test_a_table_of_training_is_trained_at_its_batch() -> None:
    calls = {(spec.mode, spec.batch, spec.size) for spec in suite("dsnet/table9").specs}
    assert calls == {("train", 32, "224x224")}
    assert {(spec.mode, spec.batch) for spec in suite("dsnet/table7").specs} == {("infer", 1)}


def test_one_label_on_two_data_sets_is_two_networks_and_two_accuracies_are_one() -> None:
    rows = [member for member in suite("dsnet/table2").members if member.label == "ResNet50 (1x)"]
    assert [row.spec.classes for row in rows if row.spec] == [100, 10]
    assert len(suite("huang/table3").members) == 5


def test_what_the_zoo_does_not_build_says_why() -> None:
    missing = {member.label: member.why for member in suite("dsod/prose").missing}
    assert missing == {"DSOD lite": "the paper does not say what its backbone is"}


def test_the_figures_of_huang_are_parts_of_the_grid() -> None:
    assert suite("huang/grid").specs == tuple(grid())
    of_figure = suite("huang/figure6a").specs
    assert {(spec.detector, spec.size) for spec in of_figure} == {("faster-rcnn", "600x600")}
    assert len(of_figure) == 48
    at_300 = suite("huang/figure7").specs
    assert {network(spec).detector_options.get("proposals", 300) for spec in at_300} == {300}
    assert {spec.detector for spec in at_300} == {"faster-rcnn", "rfcn", "ssd-huang"}


def test_all_is_each_published_network_and_the_grid_once() -> None:
    every = suite("all")
    published = {
        member.spec
        for name in names()
        if name in {figure.source for figure in figures()}
        for member in suite(name).members
    }
    assert set(every.specs) == (published - {None}) | set(grid())
    assert len(every.specs) == sum(member.spec is not None for member in every.members)


def test_pairs_is_each_published_pair_and_each_of_the_grid_at_its_smallest_input() -> None:
    small = {(spec.backbone, spec.detector): spec for spec in suite("pairs").specs}
    every = [spec for spec in suite("all").specs if spec.detector]
    assert len(small) == len(suite("pairs").specs)
    assert small.keys() == {(spec.backbone, spec.detector) for spec in every}
    assert all(small[spec.backbone, spec.detector].width <= spec.width for spec in every)
    assert small["mobilenet", "faster-rcnn"] == resolve("mobilenet", "faster-rcnn", size=300).spec
    assert [member.label for member in suite("pairs").missing] == ["DSOD lite"]


def test_names_ignore_spelling_and_a_misspelt_one_is_answered_with_the_nearest() -> None:
    assert suite("VoVNet Table 4") == suite("vovnet/table4")
    with pytest.raises(UsageError, match="did you mean vovnet/table4"):
        suite("vovnet/tabel4")


def test_lists_make_a_grid(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        title = "mine"
        backbone = ["resnet18", "vovnet39"]
        size = [64, "96x64"]
        batch = [1, 2]
        """,
    )
    assert (found.name, found.title, len(found.members)) == ("my", "mine", 8)
    assert found.specs[:3] == (
        resolve("resnet18", size=64).spec,
        resolve("resnet18", size=64, batch=2).spec,
        resolve("resnet18", size="96x64").spec,
    )


def test_options_are_part_of_the_grid_and_a_combination_that_cannot_be_is_a_row_that_says_why(
    tmp_path: Path,
) -> None:
    found = read(
        tmp_path, 'backbone = ["vovnet39", "resnet50"]\noptions = { stem = ["pool", "conv"] }'
    )
    assert found.specs == (resolve("vovnet39", stem="pool").spec, resolve("vovnet39").spec)
    assert [member.why for member in found.missing] == [
        "invalid option stem=pool (choose from imagenet, cifar)",
        "invalid option stem=conv (choose from imagenet, cifar)",
    ]


def test_other_suites_are_included_as_they_are_or_at_other_batches(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        'include = ["vovnet/table2", { suite = "vovnet/table4", batch = [1, 8], mode = "train" }]',
    )
    assert found.specs[:4] == suite("vovnet/table2").specs
    assert {(spec.batch, spec.mode) for spec in found.specs[4:]} == {(1, "train"), (8, "train")}
    metrics = {figure.metric for figure in found.members[-1].figures}
    assert "gmacs" in metrics
    assert "fps" not in metrics


def test_rows_that_fit_stay_or_go(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        include = ["huang/grid"]
        only = { detector = "Faster_RCNN", size = 300, options = { output_stride = 16 } }
        exclude = [
            { backbone = ["vgg16", "inception-resnet-v2"] },
            { options = { proposals = [10, 20, 50] } },
        ]
        """,
    )
    assert {(spec.detector, spec.size) for spec in found.specs} == {("faster-rcnn", "300x300")}
    assert {spec.backbone for spec in found.specs} == {"resnet101-slim"}
    assert [network(spec).detector_options["proposals"] for spec in found.specs] == [100, 200, 300]


def test_a_row_of_a_paper_is_left_out_by_its_label_and_by_the_name_of_a_network_that_is_not_built(
    tmp_path: Path,
) -> None:
    found = read(
        tmp_path,
        'include = "vovnet/table6"\nexclude = [{ detector = "cornernet" }, { label = "YOLOv3-608 '
        'DarkNet-53" }]',
    )
    assert len(suite("vovnet/table6").members) - len(found.members) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'backbone = "vovnet38"',
            r"my\.toml: unknown backbone 'vovnet38'; did you mean vovnet39",
        ),
        ('bacbone = "vovnet39"', r"my\.toml: no key bacbone; did you mean backbone\?"),
        (
            'include = ["vovnet/table4", { backbone = "vgg16", detektor = "ssd" }]',
            r"my\.toml, include 2: no key detektor",
        ),
        (
            'include = { suite = "vovnet/table4", batch = "all" }',
            r"^[^,]*my\.toml, include: batch is 'all': it takes a whole number$",
        ),
        ('include = { suite = "vovnet/table4", batch = 0 }', r"my\.toml, include: invalid batch"),
        ('include = { suite = "vovnet/table4", size = 300 }', r"my\.toml, include: no key size"),
        (
            'include = "vovnet/table44"',
            r"my\.toml, include: unknown suite 'vovnet/table44'; did you mean",
        ),
        (
            'backbone = "vovnet39"\noptions = { stme = "conv" }',
            r"my\.toml: vovnet39 takes no option stme; did you mean stem",
        ),
        (
            'backbone = "vovnet39"\noptions = "stem=conv"',
            r"my\.toml: options is 'stem=conv': it takes a table",
        ),
        (
            'backbone = "vovnet39"\nsize = 32.5',
            r"my\.toml: size is 32\.5: it takes a whole number or a text",
        ),
        ('backbone = "vovnet39"\nbatch = true', r"batch is True: it takes a whole number"),
        ('backbone = "vovnet39"\nbatch = 0', r"my\.toml: invalid batch 0"),
        ('backbone = "vovnet39"\nbatch = []', r"my\.toml: batch is an empty list"),
        (
            'include = "vovnet/table4"\nexclude = { backbone = "vgg16" }',
            r"my\.toml, exclude: it fits no row",
        ),
        (
            'include = "vovnet/table4"\nonly = { backbone = "vgg16" }',
            r"my\.toml: it names no network",
        ),
        (
            'include = "vovnet/table4"\nonly = { size = "3x" }',
            r"my\.toml, only: invalid size '3x' \(a side, 320, or",
        ),
        (
            'include = "vovnet/table4"\nexclude = [{ backbone = "vovnet39" }, { size = 0 }]',
            r"my\.toml, exclude 2: invalid size 0x0",
        ),
        ("", r"my\.toml: it names no network"),
        ("size = 3", r"my\.toml: it has no backbone"),
        ("title = 'x'\nbackbone = vovnet39", r"my\.toml is not valid TOML: .*line 2"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_file_and_the_place(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_suite(tmp_path / "none.toml")


def test_an_approximate_network_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = tmp_path / "near.py"
    plugin.write_text(
        'ENTRY = """\nkind = "backbone"\nbuilder = "near"\nsource = "a test"\ninput = '
        '"32x32"\n[networks.near]\napproximate = "fitted"\n"""'
    )
    monkeypatch.setenv(catalogue.PLUGIN_FILES, "")
    catalogue.use_plugin(plugin)
    try:
        (row,) = read(tmp_path, 'backbone = "near"').members
    finally:
        monkeypatch.undo()
        catalogue.forget()
    assert (row.approximate, row.why) == ("fitted", "")
