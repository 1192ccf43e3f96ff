"""What can be counted of a network without running it. Knows no zoo: any `nn.Module` in, a
`CostReport` out.
"""

from archbench.counting.report import Call, CostReport, ParamKinds

__all__ = ["Call", "CostReport", "ParamKinds"]
