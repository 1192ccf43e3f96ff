"""The figures of Huang et al., Speed/accuracy trade-offs: 2 and 6 to 10, from records of their grid
of configurations.

The paper prints the accuracy of five configurations (Table 3); its times stand in its pictures
alone.
"""

from archbench.report.figures.huang.bars import memory, time_by_part
from archbench.report.figures.huang.scatter import (
    flops_time,
    memory_time,
    proposals,
    refused,
    speed_accuracy,
)

__all__ = [
    "flops_time",
    "memory",
    "memory_time",
    "proposals",
    "refused",
    "speed_accuracy",
    "time_by_part",
]
