"""Outputs of the commonest operators on the meta device, without torch's own meta kernels.

Torch's are written in Python: they load its compiler and sympy on first use, which takes longer
than a count, and are most of a count's time afterwards. A test holds these against them.

A forward pass under inference mode calls whole operators (`aten.conv2d`), a training step
decomposed ones and their backward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archbench.shapes.arithmetic import ARITHMETIC
from archbench.shapes.layers import LAYERS

OUTPUTS: dict[Any, Callable[..., Any]] = LAYERS | ARITHMETIC
"""An operator's output, or outputs, for its arguments, all tensors of which are meta; None leaves
the call, and the error it may deserve, to torch.
"""
