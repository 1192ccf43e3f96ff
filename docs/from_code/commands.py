"""The page of commands: what `--help` says, from the same declarations."""

from __future__ import annotations

from typing import Any

from archbench.cli.commands import COMMANDS, command_line
from archbench.cli.exit import Exit
from archbench.cli.groups import heading_of, help_row
from from_code.markdown import code, table, text

HEAD = """# Commands

Made from the declarations that `archbench COMMAND --help` prints. The result goes to stdout,
everything else to stderr.
"""


def page() -> str:
    """Write the page."""
    codes = table(
        ["exit code", "meaning"],
        [[str(ended.value), ended.name.lower().replace("_", " ")] for ended in Exit],
    )
    return "\n".join([HEAD, codes, *map(_section, COMMANDS)])


def _section(name: str) -> str:
    command = command_line([name]).commands[name]
    context = command.make_context(f"archbench {name}", [], resilient_parsing=True)
    usage = " ".join(context.command.collect_usage_pieces(context))
    parts = [f"## archbench {name}", f"```text\narchbench {name} {usage}\n```", _said(command.help)]
    parts += [f"**{heading}**\n\n{rows}" for heading, rows in _options(command, context).items()]
    return "\n\n".join(parts)


def _said(help_text: str) -> str:
    """What a command's docstring says, its example as code."""
    paragraphs = []
    for paragraph in help_text.split("\n\n"):
        words = " ".join(paragraph.split())
        example = words.removeprefix("Example: ")
        paragraphs.append(text(words) if example == words else f"```sh\n{example}\n```")
    return "\n\n".join(paragraphs)


def _options(command: Any, context: Any) -> dict[str, str]:
    """A table for each group of arguments and options."""
    groups: dict[str, list[list[str]]] = {}
    for param in command.get_params(context):
        row = help_row(param, context)
        if row:
            names, meaning = row
            groups.setdefault(heading_of(param), []).append([code(names), text(meaning)])
    return {heading: table([heading.lower(), "meaning"], rows) for heading, rows in groups.items()}
