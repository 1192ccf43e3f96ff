"""The reference pages say all that the code declares, and records have the schema's form."""

from __future__ import annotations

import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from from_code import api, claims, columns, commands, networks, reasons, schema, settings
from msgspec.json import decode
from pages import PAGES, ROOT

from archbench.cli.commands import COMMANDS
from archbench.measure.face import measure
from archbench.quantities import QUANTITIES
from archbench.reasons import Flag, Reason, Status
from archbench.report.data.gate.file import KNOWN
from archbench.report.data.rows import COLUMNS
from archbench.settings import SETTINGS
from archbench.zoo import catalogue

LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
GENERATED = ("reference/", "../reference/", "claims.md", "tables.md", "approximate.md")
"""Pages that the site's build makes; it holds the links to them."""
FIGURE = re.compile(r"`([a-z]+(?:_[a-z0-9]+)*_(?:ms|s|j|w|bytes|pct))`")
"""A word of code that ends in a unit: the name of a figure or a setting."""


def test_every_command_has_its_section() -> None:
    page = commands.page()
    assert [f"\n## archbench {name}\n" in page for name in COMMANDS] == [True] * len(COMMANDS)
    assert "`--no-cudnn-benchmark`" in settings.page()
    assert "-d, --detector" in page


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (settings.page(), SETTINGS),
        (columns.page(), {*COLUMNS, *QUANTITIES}),
        (reasons.page(), [*Status, *Reason, *Flag]),
        (schema.as_json(), [*SETTINGS, *Status, *Flag]),
        (api.page(), api.PUBLIC),
    ],
    ids=["settings", "columns", "reasons", "schema", "api"],
)
def test_all_that_is_declared_is_told(page: str, words: list[str]) -> None:
    assert [word for word in words if word not in page] == []


def test_every_network_is_told_or_said_not_to_be_built() -> None:
    built, approximate = networks.networks(), networks.approximate()
    entries = [*catalogue.entries("backbone"), *catalogue.entries("detector")]
    for entry in entries:
        assert (f"| `{entry.name}` |" in built) == (not entry.published_only)
        assert (f"`{entry.name}`" in approximate) or not (entry.approximate or entry.published_only)
    assert "`lrf on resnet`" in approximate
    assert "`vovnet/table4`" in networks.tables()
    assert claims.page().count("\n| Table 4 |") > 20


@pytest.mark.parametrize("name", api.PUBLIC)
def test_a_public_name_is_what_its_file_defines(name: str) -> None:
    # The package of that name is called as the function in it.
    found = measure if name == "archbench.measure" else pkgutil.resolve_name(name)
    assert Path(inspect.getsourcefile(found) or "") == ROOT / api.PUBLIC[name]


def test_a_signature_shows_what_a_caller_passes() -> None:
    signatures = re.findall(r"```python\n(.*?)\n```", api.page(), re.DOTALL)
    assert [text for text in signatures if re.search(r"\b(self|cls)\b", text)] == []
    assert "lacking(names: Iterable[str], reason: Reason) -> dict[str, Metric]" in signatures


def test_the_records_that_are_kept_have_the_schema_s_form() -> None:
    record = schema.record_type()
    lines = [line for path in ROOT.glob("results/*/*.jsonl") for line in path.open("rb")]
    for line in lines:
        decode(line, type=record)
    assert len(lines) > 100


def test_what_a_page_of_the_repository_links_to_is_there() -> None:
    linked = {
        (page.name, target)
        for page in PAGES
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists() and not target.startswith(GENERATED)
    }
    assert linked == set()


def test_names_of_figures_in_the_pages_are_known() -> None:
    known = {*COLUMNS, *QUANTITIES, *SETTINGS, *Status, *Reason, *Flag, *KNOWN}
    named = {
        (page.name, word)
        for page in PAGES
        if page.name != "extending.md"  # It speaks of the code.
        for word in FIGURE.findall(page.read_text("utf-8"))
    }
    assert {(page, word) for page, word in named if word not in known} == set()
