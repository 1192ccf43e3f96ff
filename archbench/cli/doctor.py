"""`archbench doctor`: what this machine can measure, and how well."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from archbench.cli.formats import AsLatex, AsMarkdown, print_tables, table_width, the_format
from archbench.cli.messages import tell
from archbench.records import DEFAULT_FOLDER


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLatex = False,
    results: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that records would be written to.")
    ] = DEFAULT_FOLDER,
) -> None:
    """Show what this machine can measure, and how to enable the rest. Takes seconds; changes
    nothing.

    Example: archbench doctor
    """
    form = the_format(json=as_json, markdown=as_markdown, latex=as_latex)
    from archbench.engines.described import described
    from archbench.measure.machine.doctor import judge
    from archbench.measure.machine.machine import look
    from archbench.report.tables.doctor import abilities_table, machine_tables
    from archbench.zoo.sources import listing

    facts = look(results, tell=lambda what: tell(f"{what} ..."))
    tell("listing the networks of libraries ...")
    facts["libraries"] = listing.look()
    facts["engines"] = [asdict(engine) for engine in described()]
    abilities = judge(facts)
    if form == "json":
        print(
            json.dumps(
                {"abilities": [asdict(ability) for ability in abilities], "found": facts},
                indent=2,
                allow_nan=False,
            )
        )
        return
    width = table_width(form)
    print_tables([abilities_table(abilities, width), *machine_tables(facts, width)], form)
