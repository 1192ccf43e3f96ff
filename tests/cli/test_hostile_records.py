"""Whatever a record says, no view of the folder that it lies in breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archbench.cli.exit import Exit
from archbench.cli.main import run
from archbench.records import Store

RESULTS = Path(__file__).parents[2] / "results"
KEPT = [
    json.loads(line)
    for path in sorted(RESULTS.glob("*/*.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]


def kind(data: dict[str, Any]) -> tuple[object, ...]:
    """What sets a record apart from others of the folder."""
    spec = data["spec"]
    own = bool(data["settings"]), "roofline" in data["conditions"]
    return spec["mode"], spec["batch"], bool(spec["detector"]), *own


BASE, *SOUND = {kind(data): data for data in KEPT}.values()
"""A record of each kind; the first stays sound."""
ANY = ("--engine", "any", "--precision", "any")
SHOWN = "the record's id"
VIEWS = {
    "compare": ("compare",),
    "compare --csv": ("compare", "--csv"),
    "compare --json": ("compare", "--json"),
    "compare --markdown": ("compare", "--markdown"),
    "compare --latex": ("compare", "--latex"),
    "compare --group": ("compare", "--group", "device", "--sort", "latency_ms"),
    "compare --baseline": ("compare", "--force", "--baseline", BASE["record_id"]),
    "compare --pareto": (
        "compare",
        "--pareto",
        "total_ms,params",
        "--where",
        "total_ms>0",
        "--csv",
    ),
    "choose": ("choose", "--best", "forward", "--max", "params=1000G"),
    "choose --json": ("choose", "--best", "forward", "--max", "params=1000G", "--json"),
    "choose --engine any": ("choose", "--best", "forward", "--max", "macs=1000G", *ANY),
    "reproduce": ("reproduce", "vovnet/table4"),
    "reproduce --json": ("reproduce", "vovnet/table4", "--json"),
    "claims": ("claims", "--no-count"),
    "claims --explains": ("claims", "--explains"),
    "sweep": ("sweep", "vovnet/table4", "--resume", "--dry-run", "--device", "cpu"),
    "sweep --no-measure": ("sweep", "vovnet/table4", "--resume", "--dry-run", "--no-measure"),
    "records show": ("records", "show", SHOWN),
    "plot trade-off": ("plot", "trade-off", "--data", "--out", "plots"),
}
LONG_VIEWS = VIEWS | {
    "plot": ("plot", "all", "--data", "--out", "plots"),
    "report": ("report", "--out", "page.html"),
}

TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["\ud800", "\x1b[31m\r\n", "=1+1", "</script>", "\u202e", "1e999", "y" * 3000]),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 2**63, 10**30, 10**400, 1e-300, 1e300]),
)
DEEP = json.loads("[" * 60 + "]" * 60)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.just(DEEP),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=4,
)


@st.composite
def changed(draw: Callable[[st.SearchStrategy[Any]], Any]) -> dict[str, Any]:
    """Give a record with another value somewhere, without one, or with one more."""
    whole: Any = json.loads(json.dumps(draw(st.sampled_from(SOUND))))
    table, key = whole, draw(st.sampled_from(sorted(whole)))
    while isinstance(table[key], dict | list) and table[key] and draw(st.booleans()):
        table = table[key]
        key = draw(st.sampled_from(sorted(table) if isinstance(table, dict) else range(len(table))))
    how = draw(st.sampled_from(("change", "change", "remove", "add")))
    if how == "change":
        table[key] = draw(VALUES)
    elif how == "remove":
        del table[key]
    elif isinstance(table, dict):
        table[draw(TEXTS)] = draw(VALUES)
    return whole


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder to start in, with an empty folder of results."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    return tmp_path


def show(view: tuple[str, ...], data: dict[str, Any], folder: Path) -> None:
    """Show a folder with one hostile record and a sound one of each kind."""
    others = [each for each in SOUND if each["record_id"] != data.get("record_id")]
    lines = [data, BASE, *others]
    (folder / "results" / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = run([_shown(data, folder) if word == SHOWN else word for word in view])
    assert code == Exit.DONE, err.getvalue()
    assert not {"\x1b", "\r"} & {*out.getvalue(), *err.getvalue()}
    (out.getvalue() + err.getvalue()).encode()


def _shown(data: dict[str, Any], folder: Path) -> str:
    """The id of the hostile record, where it is one and is read, else of the sound one."""
    read = {record.record_id for record in Store(folder / "results", warn=lambda _: None).read()}
    known = {each["record_id"] for each in SOUND} & read
    return data["record_id"] if data.get("record_id") in known else BASE["record_id"]


def check(data: dict[str, Any], view: str, folder: Path) -> None:
    show(LONG_VIEWS[view], data, folder)
    warnings: list[str] = []
    for record in Store(folder / "results", warn=warnings.append).read():
        json.dumps(record.to_dict(), allow_nan=False).encode()
    assert all(warning.startswith(f"{folder}/results/a.jsonl:1: ") for warning in warnings)


@given(data=changed(), view=st.sampled_from(sorted(VIEWS)))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_view_breaks_of_a_record(data: dict[str, Any], view: str, folder: Path) -> None:
    check(data, view, folder)


@pytest.mark.slow
@given(data=changed(), view=st.sampled_from(sorted(LONG_VIEWS)))
@settings(
    max_examples=2000,
    derandomize=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_view_breaks_of_any_record(data: dict[str, Any], view: str, folder: Path) -> None:
    check(data, view, folder)
