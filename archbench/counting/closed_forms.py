"""Closed forms that papers give for the cost of a block, without building it."""

from __future__ import annotations


def dense_block_cio(channels: int, layers: int, growth: int) -> int:
    """Elements a cell that a dense block of one convolution a layer reads and writes: cm + (m^2 +
    m) d / 2.

    c are the `channels` of its input, m its `layers`, d the `growth` rate: layer i reads c + (i -
    1) d and writes d (Wang et al., CSPNet, section 3.1). Transitions and the 1x1 of bottlenecks are
    left out.
    """
    return channels * layers + (layers**2 + layers) * growth // 2


def partial_dense_block_cio(channels: int, layers: int, growth: int) -> int:
    """The same where half of the input passes by the block: (cm + (m^2 + m) d) / 2, for an even c.

    At most half of the dense block's is saved, where m and d are far below c.
    """
    return dense_block_cio(channels // 2, layers, growth)
