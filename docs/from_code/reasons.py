"""The page of statuses, reasons and flags, from `archbench.reasons`."""

from __future__ import annotations

from archbench.reasons import Flag, Reason, Status
from from_code.markdown import code, table, text

HEAD = """# Statuses, reasons and flags

A **status** says how a job ended. A **reason** says why a job failed or why a figure is null.
A **flag** warns about a figure that is there. [Flags and reasons](../concepts/flags.md) explains
how to read them.
"""


def page() -> str:
    """Write the page."""
    statuses = [
        [code(each), text(each.text), "yes" if each.is_finished else "no"] for each in Status
    ]
    reasons = [[code(each), text(each.text), text(each.remedy), _follows(each)] for each in Reason]
    flags = [[code(each), text(each.text), text(each.remedy), _warns(each)] for each in Flag]
    return "\n".join(
        [
            HEAD,
            "## Statuses\n",
            table(["status", "meaning", "has a result"], statuses),
            "`sweep --resume` runs whatever has no result.\n",
            "## Reasons\n",
            table(["reason", "meaning", "what helps", "what follows"], reasons),
            "## Flags\n",
            table(["flag", "meaning", "what helps", "what follows"], flags),
        ]
    )


def _follows(reason: Reason) -> str:
    follows = {
        "the job is tried once more": reason.is_retried,
        "`--resume` runs the job again": reason.is_passing,
        "nothing more runs on that card or node": reason.loses_place,
    }
    return "; ".join(words for words, is_so in follows.items() if is_so)


def _warns(flag: Flag) -> str:
    follows = {
        "compared only on request": flag.is_flaw,
        "the device's peaks are not kept": flag.disturbs,
    }
    return "; ".join(words for words, is_so in follows.items() if is_so)
