"""What every command that measures takes: how it is measured, as the settings declare it, and where
the records go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from archbench.cli import completion
from archbench.cli.formats import AsJson, AsLatex, AsMarkdown, the_format
from archbench.cli.groups import Several, refuse
from archbench.engine_names import canonical, check_engine, engine_of
from archbench.records import DEFAULT_FOLDER, Store
from archbench.setting import Setting
from archbench.settings import DEFAULT, QUICK, SETTINGS, Settings
from archbench.spec import UsageError

MOST_REPEATS = 1000
"""Fresh processes that a network is measured in at most."""

SEVERAL = ("engine", "precision")
"""The settings of which a sweep takes several: each network is measured in each."""


def _option(name: str, kind: Any) -> Any:
    """The option that gives a setting; nothing given leaves the protocol's own."""
    declared = SETTINGS[name]
    flag = declared.flag or ""
    if getattr(DEFAULT, name) is True:
        flag = "/".join((flag, *declared.arguments(False)))
    info = typer.Option(
        flag,
        metavar=declared.metavar or _metavar(name, kind),
        autocompletion=completion.engines if name == "engine" else None,
        help=declared.help + _default(name, declared),
        show_default=False,
    )
    if name in SEVERAL:
        kind = list[kind]  # For one network they are counted and refused.
    return Annotated[(Path if declared.is_path else kind) | None, info]


def _metavar(name: str, kind: Any) -> str | None:
    """What stands for a setting's value in the help; nothing for a switch."""
    types = get_args(kind) or (kind,)
    if float in types:
        return "SECONDS" if name.endswith("_s") else "FRACTION"
    return "N" if int in types else "NAME" if str in types else None


def _default(name: str, declared: Setting) -> str:
    """What the help says of a setting's default."""
    value, quick = getattr(DEFAULT, name), getattr(QUICK, name)
    if value != quick:
        return f" Default: {value:g}, quick {quick:g}."
    if value is None or value is False:
        return ""
    return f"  [default: {(declared.flag or '').strip('-') if value is True else value}]"


OPTIONS = {
    name: _option(name, kind)
    for name, kind in get_type_hints(Settings).items()
    if SETTINGS[name].flag
}
"""The options that give settings, by the names of these."""
TO_ALL = {name: option for name, option in OPTIONS.items() if not SETTINGS[name].of_one_network}
"""Those that fit any number of networks."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How networks are measured, if at all."""

    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="End within 30 s of the first call, with a wider confidence interval.",
        ),
    ] = False
    given: Annotated[Mapping[str, Any], Several(TO_ALL)]
    """The settings that were given, by name."""
    compile: Annotated[
        str | None,
        typer.Option("--compile", metavar="MODE", help="Shorthand for --engine compile:MODE."),
    ] = None
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Count only.")] = False

    def check_counting(self, others: Sequence[str]) -> None:
        """Raise UsageError where networks are only counted and anything says how to measure them,
        these other flags among it.
        """
        if self.no_measure:
            flags = [SETTINGS[name].arguments(value)[0] for name, value in self.given.items()]
            flags += ["--compile"] if self.compile else []
            refuse(
                [*(["--quick"] if self.quick else []), *flags, *others],
                "networks are only counted",
                instead="--no-measure",
            )

    @property
    def engines(self) -> list[str]:
        """The engines that are asked for, each once."""
        for name in self.given.get("engine", ()):
            check_engine("engine", name)
        named = [canonical(name) for name in self.given.get("engine", ())]
        if self.compile:
            compiled = engine_of(self.compile)
            if {*named} - {compiled}:
                raise UsageError(
                    f"--compile {self.compile} means --engine {compiled}, but --engine "
                    f"{' and '.join(named)} is given too: leave one out"
                )
            named = [compiled]
        return [*dict.fromkeys(named)]

    @property
    def precisions(self) -> list[str]:
        """The precisions that are asked for, each once."""
        return [*dict.fromkeys(self.given.get("precision", ()))]

    @property
    def settings(self) -> Settings:
        """The quick or the default protocol with what was given, of the first engine and precision
        that are asked for.
        """
        return self.settings_in(*(self.engines or [DEFAULT.engine])[:1], *self.precisions[:1])

    def settings_in(self, engine: str, precision: str = DEFAULT.precision) -> Settings:
        """The quick or the default protocol with what was given, in an engine and a precision."""
        given: dict[str, Any] = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in self.given.items()
        }
        way = {"engine": engine, "precision": precision}
        return replace(QUICK if self.quick else DEFAULT, **{**given, **way})


def open_store(folder: Path, *, is_document: bool = False) -> Store:
    """Open a results folder for a writer; stdout may be a `document`, among which no record is
    shown that is kept elsewhere.
    """
    from archbench.measure.job.folder import remove_abandoned

    store = Store(folder, show=ignore) if is_document else Store(folder)
    store.prepare()
    remove_abandoned()
    return store


def ignore(_: str) -> None:
    """Show nothing."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is printed and kept, and where."""

    as_json: AsJson = False
    as_markdown: AsMarkdown = False
    as_latex: AsLatex = False
    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", help="Folder to append records to.")
    ] = DEFAULT_FOLDER

    def open_store(self) -> Store:
        """Open the results for a writer, and remove what earlier ones that were killed have left.

        Raises UsageError, before any work is done, where they cannot be written.
        """
        return open_store(self.results, is_document=self.as_json)

    @property
    def form(self) -> str:
        """json, markdown, latex, or empty for tables for people."""
        return the_format(json=self.as_json, markdown=self.as_markdown, latex=self.as_latex)
