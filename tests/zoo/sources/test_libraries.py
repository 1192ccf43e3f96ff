"""Networks of libraries by name: what is listed and kept, and what is said of a library that is
missing or broken.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archbench import api, known
from archbench.cli.main import run
from archbench.spec import UsageError
from archbench.zoo import catalogue
from archbench.zoo.sources import library, listing

STANDINS = Path(__file__).parent / "standins"
ROOT = Path(__file__).parents[3]


def test_a_library_is_asked_once_for_what_it_offers(
    standins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timm = library.LIBRARIES["timm"]
    first = listing.listing_of(timm)
    assert list(first.networks) == [
        "chain",
        "unpadded",
        "last",
        "pairs",
        "branched",
        "bound",
        "plain",
    ]
    assert first.networks["chain"]["input"] == "64x64"
    listing.listing_of.cache_clear()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it is asked again"))
    assert listing.listing_of(timm) == first


def test_names_are_those_of_the_library(standins: Path) -> None:
    entry = catalogue.find("backbone", "timm:chain.a_tag")
    assert (entry.name, entry.input) == ("timm:chain.a_tag", "96x96")
    with pytest.raises(UsageError, match=r"timm has no network 'chian'; did you mean chain\?"):
        catalogue.find("backbone", "timm:chian")


def test_a_count_by_another_version_is_not_found(
    standins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(known.VARIABLE)
    spec = catalogue.resolve("timm:chain", size=64).spec
    first = known.find_cost(spec)
    assert known.find_cost(spec) == first
    monkeypatch.setattr(api, "cost_spec", lambda spec: pytest.fail("it is counted anew"))
    assert known.find_cost(spec) == first
    monkeypatch.setattr(library, "version_of", lambda package: "2")
    with pytest.raises(pytest.fail.Exception, match="counted anew"):
        known.find_cost(spec)


def test_a_missing_library_is_said_with_what_installs_it(missing: None) -> None:
    with pytest.raises(UsageError) as caught:
        catalogue.resolve("timm:chain", "retinanet")
    assert str(caught.value) == (
        "timm:chain cannot be built: timm is not installed: pip install 'archbench[timm]'"
    )
    # Records of it are read all the same.
    assert catalogue.find("backbone", "timm:chain").name == "timm:chain"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            r"torchvision .* is built for another torch than .*; install the one that fits it",
        ),
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module"),
    ],
)
def test_a_broken_library_is_said_in_a_line(standins: Path, text: str, said: str) -> None:
    (standins / "timm.py").write_text(text)
    with pytest.raises(UsageError, match=f"timm unknown cannot be imported: .*{said}") as caught:
        catalogue.resolve("timm:chain", "retinanet")
    assert "\n" not in str(caught.value)


def test_list_shows_a_library_s_networks(
    standins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["list", "timm:*ain"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("timm")] == [
        "timm:chain",
        "timm:plain",
    ]
    assert "2 of the 7 networks of timm" in out
    assert run(["list", "timm:", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed["networks"]) == 7
    kinds = {network["name"]: network["kind"] for network in listed["networks"]}
    assert kinds["timm:chain"] == "backbone, classifier"
    assert kinds["timm:plain"] == "backbone"
    assert run(["list", "timm:zzz"]) == 2
    assert "no network of timm matches 'zzz'" in capsys.readouterr().err


VIEWS = """
import sys
from archbench.cli.main import run
for words in ("list", "compare", "compare --backbone timm:chain", "report --out page.html"):
    assert run(words.split()) == 0, words
loaded = {"timm", "torchvision", "transformers", "torch"} & set(sys.modules)
assert not loaded, loaded
"""


@pytest.mark.slow
def test_views_import_no_library(
    standins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one that could be imported and a record of it, and once it is gone."""
    assert run(["profile", "timm:chain", "--size", "64", "--no-measure", "--json"]) == 0
    environment = json.loads(capsys.readouterr().out)["environment"]
    assert environment["libraries"] == {"timm": None, "transformers": None}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", VIEWS], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("timm:chain") >= 2
        shutil.rmtree(standins, ignore_errors=True)
