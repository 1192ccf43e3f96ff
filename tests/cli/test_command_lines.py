"""What a spec calls its command makes the same spec, whatever network it is of."""

from __future__ import annotations

import shlex
from typing import Any

import typer
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from archbench.cli.groups import grouped
from archbench.cli.network import NetworkFlags
from archbench.spec import Spec, UsageError
from archbench.zoo import catalogue
from archbench.zoo.catalogue import Entry, Kind, Option


def buildable(kind: Kind) -> list[Entry]:
    return [entry for entry in catalogue.entries(kind) if not entry.published_only]


def values_of(option: Option) -> st.SearchStrategy[Any]:
    if option.values:
        return st.sampled_from(option.values)
    return st.integers(1, 40) if option.type == "int" else st.sampled_from((0.25, 0.5, 1.5, 2.0))


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a backbone, a detector or none, some options of theirs, and how they are called."""
    entries = [draw(st.sampled_from(buildable("backbone")))]
    if draw(st.booleans()):
        entries.append(draw(st.sampled_from(buildable("detector"))))
    options = {
        option.name: values_of(option)
        for entry in entries
        for option in entry.options.values()
        if option.is_taken_by(entry.name)
    }
    chosen = draw(st.sets(st.sampled_from(sorted(options)), max_size=3)) if options else set()
    call = {
        "size": st.none() | st.sampled_from((320, "512x384", (640, 640))),
        "classes": st.none() | st.integers(1, 100),
        "batch": st.integers(1, 64),
        "mode": st.sampled_from(("infer", "train")),
    }
    drawn = {name: draw(values) for name, values in call.items()}
    return drawn | {
        "backbone": entries[0].name,
        "detector": entries[1].name if len(entries) > 1 else None,
        **{name: draw(options[name]) for name in sorted(chosen)},
    }


def by_command_line(command: str) -> Spec:
    """Read a command line as `archbench profile` does."""
    found: list[Spec] = []

    def profile(network: NetworkFlags) -> int:
        found.extend(network.resolve())
        return 0

    profile.__annotations__ = {"network": NetworkFlags, "return": int}
    app = typer.Typer()
    app.command()(grouped(profile))
    words = shlex.split(command)
    assert words[:2] == ["archbench", "profile"]
    typer.main.get_command(app).main(words[2:], standalone_mode=False)
    (spec,) = found
    return spec


@given(asked())
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_a_spec_s_own_command_makes_it_again(network: dict[str, Any]) -> None:
    try:
        spec = catalogue.resolve(**network).spec
    except UsageError:
        assume(False)
    assert by_command_line(spec.command()) == spec
