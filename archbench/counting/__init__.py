"""What can be counted of a network without running it. Knows no zoo: any `nn.Module` in, a
`CostReport` out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archbench.counting.report import Call, CostReport, Kind, ParamKinds

if TYPE_CHECKING:
    from archbench.counting.rules.foreign import rule

__all__ = ["Call", "CostReport", "Kind", "ParamKinds", "rule"]


def __getattr__(name: str) -> object:
    if name == "rule":
        from archbench.counting.rules.foreign import rule

        return rule
    raise AttributeError(f"module 'archbench.counting' has no attribute {name!r}")
