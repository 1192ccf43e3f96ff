"""Accuracies: of one data set at a time, of exactly one network, the user's own first."""

from __future__ import annotations

from pathlib import Path

import pytest

from archbench.papers.accuracies import accuracy_for, datasets, networks_on
from archbench.records import Record
from archbench.report.data.accuracies import Accuracies, accuracies
from archbench.settings import Settings
from archbench.spec import Spec, UsageError
from archbench.zoo import catalogue


def spec(backbone: str, detector: str, size: int | None = None) -> Spec:
    return catalogue.resolve(backbone, detector, size=size).spec


def test_a_published_accuracy_is_of_one_data_set_and_one_network() -> None:
    vovnet = spec("vovnet39", "refinedet320")
    assert Accuracies().of(vovnet).value == 33.5  # type: ignore[union-attr]
    assert Accuracies().of(spec("vovnet39", "refinedet512")).value == 38.5  # type: ignore[union-attr]
    assert Accuracies().of(spec("vovnet39", "refinedet", 448)) is None
    assert Accuracies("voc2007-test").of(vovnet) is None
    mobilenet = catalogue.resolve("mobilenet", "ssd-huang", classes=90).spec
    assert [accuracy_for(mobilenet, name).value for name in ("coco-test-dev", "coco-minival")] == [  # type: ignore[union-attr]
        18.8,
        19.3,
    ]


def test_every_network_of_a_data_set_has_its_accuracy() -> None:
    assert {"coco-test-dev", "coco-val", "voc2007-test"} <= {*datasets()}
    assert not any("multiscale" in name for name in datasets())
    for name in datasets():
        assert all(accuracy_for(each, name) for each in networks_on(name))
    assert len(networks_on()) > 60


def test_of_several_published_the_row_beside_the_network_is_taken() -> None:
    efm = catalogue.resolve("csp-peleenet", "efm", size=416).spec
    assert accuracy_for(efm).label == "EFM"  # type: ignore[union-attr]


def test_the_accuracy_of_a_reduced_precision_is_not_known() -> None:
    network = spec("vovnet39", "refinedet320")
    full, half = (
        Record(network, Settings(precision=name), "ok", counted={}) for name in ("fp32", "fp16")
    )
    assert Accuracies().of_record(full)
    assert Accuracies().of_record(half) is None


def write(folder: Path, text: str) -> Path:
    file = folder / "mine.csv"
    file.write_text(text)
    return file


def test_one_s_own_stand_before_published_ones(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "Network,Data Set,Value,Input\n"
        "vovnet39+refinedet320,coco-test-dev,34.1,\n"
        "vovnet39 + refinedet,coco-test-dev,36.2%,448\n"
        "nets.py:Mine,coco-test-dev,20,224\n",
    )
    known = accuracies(file, None)
    assert known.dataset == "coco-test-dev"
    found = known.of(spec("vovnet39", "refinedet320"))
    assert (found.value, found.source) == (34.1, "mine.csv")  # type: ignore[union-attr]
    assert known.of(spec("vovnet39", "refinedet", 448)).value == 36.2  # type: ignore[union-attr]
    assert known.of(spec("vovnet57", "refinedet320")).value == 33.9  # type: ignore[union-attr]
    assert known.of(Spec("nets.py:Mine@3fa2c1", None, 224, 224, None)).value == 20  # type: ignore[union-attr]
    assert known.of(Spec("nets.py:Mine@3fa2c1", None, 320, 320, None)) is None
    assert spec("vovnet39", "refinedet", 448) in known.networks()


def test_a_data_set_of_one_s_own_has_no_published_ones(tmp_path: Path) -> None:
    file = write(tmp_path, "backbone,detector,dataset,value\nvovnet39,refinedet320,apples,71\n")
    known = accuracies(file, None)
    assert known.dataset == "apples"
    assert known.of(spec("vovnet39", "refinedet320")).value == 71  # type: ignore[union-attr]
    assert known.of(spec("vovnet57", "refinedet320")) is None


@pytest.mark.parametrize(
    ("text", "dataset", "message"),
    [
        ("network,value\nvovnet39,3\n", None, "has no column dataset (columns: network"),
        ("network,dataset,value\n", None, "has no rows"),
        ("network,dataset,value\nvovnet39,a,\n", None, ":2: the value or the data set is missing"),
        ("network,dataset,value\nvovnet39,a,good\n", None, ":2: invalid accuracy 'good'"),
        ("network,dataset,value\nvovnet3,a,1\n", None, ":2: unknown backbone 'vovnet3'"),
        ("network,dataset,value\nvovnet39,a,1\nvovnet39,b,2\n", None, "covers a, b: choose one"),
        ("network,dataset,value\nvovnet39,a,1\n", "b", "has no accuracies on b, only on a"),
        (
            "network,dataset,value\nvovnet39,a,1\nVoVNet-39,a,2\n",
            None,
            ":3: the network already has",
        ),
        ("network,dataset,value\nnets.py:Mine,a,1\n", None, ":2: nets.py:Mine needs its input"),
        ("", None, "has no column network, value, dataset"),
        ("network,dataset,value\nvovnet39,a,36,6\n", None, ":2: more cells than columns; 36,6 is"),
        ("network,value,Value,dataset\nvovnet39,1,2,a\n", None, "has two columns value: leave"),
    ],
)
def test_what_is_no_file_of_accuracies(
    tmp_path: Path, text: str, dataset: str | None, message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        accuracies(write(tmp_path, text), dataset)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    """With the mark that begins it, ends of lines of another system, and an empty last column."""
    file = tmp_path / "mine.csv"
    lines = ["network,dataset,value,", "vovnet39+refinedet320,apples, 34.1 %,", ",,,"]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    found = accuracies(file, None).of(spec("vovnet39", "refinedet320"))
    assert found
    assert found.value == 34.1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        accuracies(tmp_path / "none.csv", None)
    with pytest.raises(UsageError, match="unknown data set 'coco2017'"):
        accuracies(None, "coco2017")
