"""A choice as plain data: every candidate as a row, and all that was found."""

from __future__ import annotations

from typing import Any

from archbench.report.data.choice import PERHAPS, Choice
from archbench.report.data.contenders import Contender, Contenders
from archbench.report.data.prediction import Prediction
from archbench.report.tables.choose import margin, reason, standing

ROW = (
    "network",
    "backbone",
    "detector",
    "input",
    "options",
    "engine",
    "precision",
    "standing",
    "within",
    "frontier",
)


def rows(choice: Choice) -> list[dict[str, Any]]:
    """Give every candidate as a row, the best first."""
    data = []
    for each in choice.candidates:
        spec, settings = each.configuration.spec, each.configuration.newest.settings
        row: dict[str, Any] = {
            "network": each.name,
            "backbone": spec.backbone,
            "detector": spec.detector,
            "input": spec.size,
            "options": spec.options_text or None,
            "engine": settings.engine if settings else None,
            "precision": settings.precision if settings else None,
            "standing": standing(choice, each) or None,
            "within": each.within,
            "frontier": "yes" if each.is_on_frontier else "no",
        }
        for name in choice.asked.columns:
            estimate = each.figure(name)
            low, high = estimate.interval or (None, None)
            flags = ";".join(estimate.flags) or None
            found: tuple[Any, ...] = (estimate.value, low, high, flags)
            row |= dict(zip(_row_names(name), found, strict=True))
        data.append(row)
    return data


def columns(choice: Choice) -> list[str]:
    """The columns of `rows`."""
    return [*ROW, *(part for name in choice.asked.columns for part in _row_names(name))]


def document(choice: Choice, found: Contenders) -> dict[str, Any]:
    """Give all that was found as plain data."""
    chosen = choice.chosen
    return {
        "setup": choice.setup,
        "dataset": choice.accuracies.dataset,
        "best": choice.asked.best,
        "bounds": [
            {"column": each.column, "operator": each.operator, "value": each.value}
            for each in choice.asked.bounds
        ],
        "choice": {
            "network": chosen.name,
            "command": chosen.configuration.newest.command(),
            "is_win": not (chosen.flaws or choice.tied or chosen.within == PERHAPS),
            "flags": list(chosen.flaws),
            "tied_with": [each.name for each in choice.tied],
            "ahead_of": choice.runner_up.name if choice.runner_up else None,
            "reason": reason(choice),
            "margin": margin(choice),
        }
        if chosen
        else None,
        "networks": rows(choice),
        "unmeasured": [_contender(each, choice) for each in found.found],
        "ruled_out": {"by_prediction": found.predicted_out, "by_work": found.outdone},
        "other_setups": choice.others,
    }


def _row_names(column: str) -> tuple[str, str, str, str]:
    return column, f"{column}_lo", f"{column}_hi", f"{column}_flags"


def _contender(each: Contender, choice: Choice) -> dict[str, Any]:
    predicted = {
        column: {
            "value": found.value,
            "interval90": list(found.interval),
            "fitted_on": found.networks,
            "error_median": found.error.median,
            "error_p90": found.error.p90,
        }
        if isinstance(found, Prediction)
        else {"refused": found.why}
        for column, found in each.predicted.items()
    }
    accuracy = {"accuracy": each.accuracy, "dataset": choice.accuracies.dataset}
    return {"network": each.name, **accuracy, "predicted": predicted, "command": each.command}
