"""Limits that networks must keep, from a file: what is asked of each, and whether it holds."""

from archbench.report.data.gate.file import Gate, Guarded, Limit, Rise, read_gate
from archbench.report.data.gate.judging import Evidence, Finding, Standing, judge

__all__ = [
    "Evidence",
    "Finding",
    "Gate",
    "Guarded",
    "Limit",
    "Rise",
    "Standing",
    "judge",
    "read_gate",
]
