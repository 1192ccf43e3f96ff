"""What an operator does, by its name: convolve, multiply, attend, pool, normalise, or none of that.

An operator arrives in one of two spellings: whole below autograd (`aten.conv2d`, `aten.linear`) and
decomposed under no_grad (`aten.convolution`, `aten.addmm` on a transposed weight). Both have a rule
here and give the same numbers.
"""

from __future__ import annotations

import re

from archbench.counting.rules.attention import ATTENTION
from archbench.counting.rules.convolutions import CONVOLUTIONS
from archbench.counting.rules.packed import PACKED
from archbench.counting.rules.pools import NORMS, POOLS
from archbench.counting.rules.products import PRODUCTS
from archbench.counting.rules.recurrent import RECURRENT
from archbench.counting.rules.work import Rule

RULES: dict[str, Rule] = CONVOLUTIONS | PRODUCTS | ATTENTION | RECURRENT | PACKED | POOLS | NORMS

MULTIPLIES = re.compile(
    r"conv(?!ert)|deform|(^|_)(hsp|ssp|s)?(b?add)?b?mm(_|$)|mv_?$|addr_?$|matmul|linear|dot$|einsum"
    r"|inner$|cdist|euclidean_dist|lstm|(^|_)gru|(^|_)rnn|attention|transformer|(^|_)fft_\w2\w$"
    r"|matrix_exp|householder|_mm_|trilinear$|affine_grid"
)
"""Names of operators that multiply matrices, convolve or transform; one of them without a rule is
reported, never left out.
"""

RESAMPLES = re.compile(r"upsample|grid_sampler|interpolate")
PREPARES = re.compile(r"(^|_)pack_|prepack|fused_(lstm|gru)_cell|flatten_weight|sdp_choice")
"""Names of operators that lay weights out or combine gates, and multiply nothing."""


def multiplies(name: str) -> bool:
    """Whether an operator, such as aten::bmm, multiplies matrices or convolves by its name."""
    word = name.partition("::")[2]
    return (
        bool(MULTIPLIES.search(word)) and not RESAMPLES.search(word) and not PREPARES.search(word)
    )
