"""Counts that were made before are found again, and never where anything that made them differs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archbench import api, cache, known
from archbench.counting.report import CostReport
from archbench.counting.rules.foreign import registered
from archbench.spec import Spec
from archbench.zoo import catalogue

SMALL = catalogue.resolve("resnet18", size=64).spec
SPECS = [
    SMALL,
    catalogue.resolve("resnet18", size=64, batch=3, mode="train").spec,
    catalogue.resolve("vovnet27-slim", "ssd300").spec,
    catalogue.resolve("resnet50", "faster-rcnn", size=320, proposals=8, batch=2).spec,
]
EXAMPLE = Path(__file__).parents[1] / "examples" / "ssd_slim.py"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(known.VARIABLE)
    return tmp_path / "archbench"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Spec]:
    """The specs that were counted rather than found."""
    specs: list[Spec] = []
    count = api.cost_spec

    def counted(spec: Spec) -> CostReport:
        specs.append(spec)
        return count(spec)

    monkeypatch.setattr(api, "cost_spec", counted)
    return specs


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_known_count_is_the_one_that_was_made(spec: Spec, made: list[Spec]) -> None:
    first, again = known.find_cost(spec), known.find_cost(spec)
    assert made == [spec]
    # Their texts tell 1 from 1.0, as JSON does.
    assert (again, repr(again)) == (first, repr(first))
    assert again.totals() == first.totals()


def test_every_network_has_a_count_of_its_own(made: list[Spec]) -> None:
    for spec in [*SPECS, *SPECS]:
        known.find_cost(spec)
    assert made == SPECS


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    entry = json.loads(path.read_text(encoding="utf-8"))
    change(entry["found"])
    path.write_text(json.dumps(entry), encoding="utf-8")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("", encoding="utf-8"),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: changed(path, lambda found: found.pop("params")),
        lambda path: changed(path, lambda found: found.update(params="many")),
        lambda path: changed(path, lambda found: found.update(calls=[1])),
        lambda path: changed(path, lambda found: found["calls"][0].update(kind="magic")),
    ],
)
def test_a_malformed_entry_is_counted_anew_and_replaced(
    spoil: Callable[[Path], object], folder: Path, made: list[Spec]
) -> None:
    first = known.find_cost(SMALL)
    (path,) = folder.iterdir()
    spoil(path)
    assert known.find_cost(SMALL) == known.find_cost(SMALL) == first
    assert made == [SMALL, SMALL]


@pytest.mark.parametrize("what", ["_torch_version", "code_at_first"])
def test_what_another_version_counted_is_not_found(
    what: str, made: list[Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    known.find_cost(SMALL)
    monkeypatch.setattr(known, what, lambda: "another")
    known.find_cost(SMALL)
    assert made == [SMALL, SMALL]


def test_a_changed_new_or_renamed_source_is_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "copy"
    shutil.copytree(Path(known.__file__).parent, package)
    monkeypatch.setattr(known, "__file__", str(package / "known.py"))
    codes = [known._code(), known._code()]
    table, source = package / "zoo/backbones/resnet.toml", package / "zoo/backbones/resnet.py"
    table.write_text(table.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    codes.append(known._code())
    status = source.stat()
    source.write_bytes(source.read_bytes()[:-1] + b" ")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    codes.append(known._code())
    (package / "counting/rules/more.py").touch()
    codes.append(known._code())
    (package / "counting/rules/more.py").rename(package / "counting/more.py")
    codes.append(known._code())
    assert codes[0] == codes[1]
    assert len(set(codes)) == 5


def test_what_was_edited_while_it_was_loaded_is_not_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "copy"
    shutil.copytree(Path(known.__file__).parent, package)
    monkeypatch.setattr(known, "__file__", str(package / "known.py"))
    before = known._written()
    source = package / "zoo/backbones/resnet.py"
    status = source.stat()
    source.write_bytes(source.read_bytes()[:-1] + b" ")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    monkeypatch.setattr(known, "_written_at_first", lambda: before)
    known.find_cost(SMALL)
    assert not folder.exists()


def test_a_users_rules_are_counted_by(
    folder: Path, made: list[Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    known.find_cost(SMALL)
    monkeypatch.setitem(registered, "aten::relu_", lambda *_: None)
    known.find_cost(SMALL)
    assert made == [SMALL, SMALL]


def test_a_network_of_a_plugin_is_counted_as_its_file_has_it(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(catalogue.PLUGIN_FILES, "")
    file = tmp_path / "own.py"
    shutil.copy(EXAMPLE, file)
    try:
        catalogue.use_plugin(file)
        known.find_cost(catalogue.resolve("mobilenet", "ssd-slim", size=96).spec)
        assert not folder.exists()
    finally:
        monkeypatch.undo()
        catalogue.forget()


def test_nothing_is_read_or_kept_where_nobody_wants_it(
    folder: Path, made: list[Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(known.VARIABLE, "1")
    known.find_cost(SMALL)
    known.find_cost(SMALL)
    assert made == [SMALL, SMALL]
    assert not folder.exists()


def test_all_counts_together_are_bounded(folder: Path) -> None:
    cache.write("peaks", {"of": "a device"}, {"text": "x" * 500})
    for number in range(8):
        cache.write("count", {"number": number}, {"text": "x" * 100}, most_bytes=500)
        os.utime(max(folder.glob("count-*"), key=os.path.getctime), (number, number))
    kept = [number for number in range(8) if cache.read("count", {"number": number})]
    assert kept == [5, 6, 7]
    assert cache.read("peaks", {"of": "a device"})


COMMAND = """
import sys
from archbench.cli.main import run
code = run(sys.argv[1:])
print("torch" in sys.modules, file=sys.stderr)
sys.exit(code)
"""


def test_a_known_network_is_profiled_alike_without_torch(tmp_path: Path) -> None:
    def profile(*form: str) -> tuple[str, str]:
        words = ["profile", "resnet18", "-s", "64", "--no-measure", "--results", str(tmp_path)]
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *words, *form],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout, done.stderr.splitlines()[-1]

    made, had_torch = profile("--layers", "--json")
    assert had_torch == "True"
    found, had_torch = profile("--layers", "--json")
    assert had_torch == "False"
    one, other = (json.loads(text) for text in (made, found))
    # Each record has its own name and moment; the rest is the same to the letter.
    for record in (one, other):
        del record["record_id"], record["time_utc"]
    assert json.dumps(one) == json.dumps(other)
