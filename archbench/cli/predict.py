"""`archbench predict`: what a network would take that was not measured."""

from __future__ import annotations

import json
from dataclasses import dataclass

from archbench.cli.exit import Exit
from archbench.cli.formats import AsJson, AsLatex, AsMarkdown, print_tables, the_format
from archbench.cli.groups import grouped
from archbench.cli.network import NetworkFlags
from archbench.cli.predicting import counted_networks
from archbench.cli.reading import RecordFlags, read_records
from archbench.spec import UsageError


@dataclass(frozen=True, kw_only=True)
class Evidence(RecordFlags):
    """What is predicted from."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """How it is printed."""

    as_json: AsJson = False
    as_markdown: AsMarkdown = False
    as_latex: AsLatex = False


@grouped
def predict(network: NetworkFlags, records: Evidence, output: Output) -> int:
    """Predict a network's latency and energy from measured networks of other families.

    Each device and setting needs records of at least eight networks and predicts only inside the
    range that was measured, with an interval and the error behind it.

    Example: archbench predict vovnet57 -d refinedet512
    """
    form = the_format(json=output.as_json, markdown=output.as_markdown, latex=output.as_latex)
    specs = network.resolve()
    from archbench.report.data.configurations import configurations, measured_setups
    from archbench.report.data.prediction import Prediction, answers
    from archbench.report.data.selection import Filters, select
    from archbench.report.tables.predict import tables

    every = read_records(records.results)
    if not every:
        return Exit.USAGE
    chosen = select(every, Filters(device=records.device))
    by_setup = measured_setups(configurations(chosen))
    if not by_setup:
        on = f" on a device called {records.device!r}" if records.device else ""
        raise UsageError(
            f"no measurements{on} to predict from; archbench sweep pairs --quick measures the "
            "papers' pairs"
        )
    with counted_networks(specs) as networks:
        given = answers(specs, by_setup, networks)
    if form == "json":
        print(json.dumps([answer.row() for answer in given], indent=2, allow_nan=False))
    else:
        print_tables(tables(given), form)
    is_any = any(isinstance(answer.found, Prediction) for answer in given)
    return Exit.DONE if is_any else Exit.FAILED
