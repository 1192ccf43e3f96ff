"""`archbench doctor`: what this machine can measure, and how well."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from archbench.records import DEFAULT_FOLDER


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON, with everything that was found.")] = False,
    results: Annotated[Path, typer.Option(metavar="DIR", help="Folder that records would be appended to.")] = DEFAULT_FOLDER,
) -> None:
    """Say what can be measured on this machine, and for what cannot, why and what to do. Takes seconds; changes nothing.

    Example: archbench doctor
    """
    from archbench.measure.doctor import judge
    from archbench.measure.machine import look
    from archbench.report.doctor import abilities_table, machine_tables

    facts = look(results, tell=lambda what: print(f"{what} ...", file=sys.stderr))
    abilities = judge(facts)
    if as_json:
        print(json.dumps({"abilities": [asdict(ability) for ability in abilities], "found": facts}, indent=2, allow_nan=False))
        return
    abilities_table(abilities).print()
    for table in machine_tables(facts):
        print()
        table.print()
