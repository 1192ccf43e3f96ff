"""The page of claims: what the papers say about cost, from `archbench.papers`."""

from __future__ import annotations

from itertools import groupby

from archbench.papers.claims import Claim, claims
from from_code.markdown import table, text

HEAD = """# The papers' claims

What the papers say about cost, in a form that figures can be put into. `archbench claims` tests
them with your records, and [Reproduce a paper](../guides/reproduce.md#claims) says how. *Published*
is the ratio, or the number that the claim states.
"""
DEVICES = {"any": "counts", "gpu": "a GPU", "cpu": "a CPU"}


def page() -> str:
    """Write the page."""
    parts = [HEAD]
    for paper, group in groupby(claims(), lambda claim: claim.paper):
        rows = list(map(_row, group))
        parts.append(f"## {paper}\n\n{table(['where', 'claim', 'published', 'needs'], rows)}")
    return "\n".join(parts)


def _row(claim: Claim) -> list[str]:
    published = "" if claim.published is None else f"{claim.published:.3g}"
    needs = f"not tested: {claim.why}" if claim.why else DEVICES[claim.device]
    return [text(claim.where), text(claim.text), published, text(needs)]
