"""Commands whose options stand in groups: each a dataclass of flags, declared once and shown under
a heading of its own in `--help`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_type_hints

from typer.core import TyperCommand, TyperGroup

from archbench.spec import UsageError

FOR_ALL = "Every command"
"""The heading of the options that every command takes."""


@dataclass(frozen=True)
class Several:
    """Annotates a field of a group that takes several options together: it is the mapping of those
    that were given.
    """

    options: Mapping[str, Any]
    """The annotated type of each option, by the key of its value."""


def grouped(command: Callable[..., int]) -> Callable[..., int]:
    """Make a function that takes groups of flags one that takes the flags themselves; a group is
    headed by the name of its parameter.
    """
    groups = get_type_hints(command)
    del groups["return"]
    parameters = [
        parameter for name, group in groups.items() for parameter in _parameters(group, name)
    ]

    def spread(**values: Any) -> int:
        return command(**{name: _filled(group, values) for name, group in groups.items()})

    # Typer reads a signature's names and defaults, and its types from the annotations.
    spread.__doc__ = command.__doc__
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return spread


def _parameters(group: type, heading: str) -> Iterator[inspect.Parameter]:
    """Give the options of a group as parameters, as typer reads them."""
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        several = _several(hints[field.name])
        if several:
            for name, annotation in several.options.items():
                yield _parameter(name, annotation, None, heading)
        else:
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            yield _parameter(field.name, hints[field.name], default, heading)


def _parameter(name: str, annotation: Any, default: Any, heading: str) -> inspect.Parameter:
    info = copy(annotation.__metadata__[0])
    info.rich_help_panel = heading.replace("_", "-")
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[annotation.__origin__, info],
    )


def _filled(group: type, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(group, include_extras=True)
    content = {}
    for field in fields(group):
        several = _several(hints[field.name])
        content[field.name] = (
            {name: values[name] for name in several.options if values[name] not in (None, [])}
            if several
            else values[field.name]
        )
    return group(**content)


def _several(annotation: Any) -> Several | None:
    (info,) = annotation.__metadata__
    return info if isinstance(info, Several) else None


def given(group: Any) -> list[str]:
    """Name the flags of a group whose values are not their defaults."""
    hints = get_type_hints(type(group), include_extras=True)
    return [
        _flag(field.name, hints[field.name].__metadata__[0])
        for field in fields(group)
        if field.default is not MISSING and getattr(group, field.name) != field.default
    ]


def _flag(name: str, info: Any) -> str:
    # What stands first in typer.Option is a flag where the option annotates, a default elsewhere.
    return info.default if isinstance(info.default, str) else f"--{name.replace('_', '-')}"


def refuse(flags: Sequence[str], why: str, *, instead: str = "") -> None:
    """Raise UsageError for flags that would do nothing; `instead`: what else could be done than
    leave them out.
    """
    if flags:
        *first, last = flags
        listed = f"{', '.join(first)} and {last}" if first else last
        alternative = f"{',' if first else ''} or {instead}" if instead else ""
        raise UsageError(f"{why}: leave out {listed}{alternative}")


def heading_of(param: Any) -> str:
    """The heading of an argument or option in a command's help."""
    panel = FOR_ALL if param.name == "help" else getattr(param, "rich_help_panel", None)
    heading: str = panel or f"{param.param_type_name}s"
    return heading.capitalize()


def help_row(param: Any, ctx: Any) -> tuple[str, str] | None:
    """An argument's or option's name and meaning in a command's help; None: it is not shown."""
    row: tuple[str, str] | None = param.get_help_record(ctx)
    # Typer puts the Python type behind an argument's name.
    return (param.metavar, row[1]) if row and _is_argument(param) else row


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


class GroupedCommand(TyperCommand):
    """A command whose help shows its options group by group, in plain text."""

    # Typer shows panels with rich alone.

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Give what may follow the command's name, arguments as they are declared."""
        arguments = [param.metavar or "" for param in self.get_params(ctx) if _is_argument(param)]
        return ["[OPTIONS]", *arguments]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group, in the order of its first option."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            row = help_row(param, ctx)
            if row:
                sections.setdefault(heading_of(param), []).append(row)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


class CommandGroup(TyperGroup):
    """A list of commands whose help shows them group by group, each with its whole summary."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group, in the order of its first command."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            heading = command.rich_help_panel or "Commands"  # type: ignore[attr-defined]
            sections.setdefault(heading, []).append((name, command.help or ""))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)
