"""Scaled dot products that are one node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graphs import NodeProto, counted, graph, node, tensor

MS = "com.microsoft"


@pytest.mark.parametrize(
    ("layer", "shapes", "macs", "left_out"),
    [
        # Queries, keys and values by heads, or joined.
        (node("Attention", "q k v"), ((1, 2, 5, 4), (1, 2, 7, 4), (1, 2, 7, 3)), 2 * 35 * 7, 0),
        (
            node("Attention", "q k v", q_num_heads=2, kv_num_heads=1),
            ((1, 5, 8), (1, 7, 4), (1, 7, 4)),
            2 * 35 * 8,
            0,
        ),
        (
            node("Attention", "q k v", is_causal=1),
            ((1, 2, 5, 4), (1, 2, 5, 4), (1, 2, 5, 4)),
            2 * 25 * 8,
            2 * 10 * 8,
        ),
        (
            node("MultiHeadAttention", "q k v", num_heads=2, domain=MS),
            ((1, 5, 8), (1, 7, 8), (1, 7, 8)),
            2 * 35 * 8,
            0,
        ),
        (
            node("MultiHeadAttention", "q", num_heads=2, domain=MS),
            ((1, 5, 2, 3, 4),),
            2 * 25 * 8,
            0,
        ),
        (
            node("GroupQueryAttention", "q k v", num_heads=4, kv_num_heads=2, domain=MS),
            ((1, 5, 16), (1, 5, 8), (1, 5, 8)),
            4 * 25 * 8,
            4 * 10 * 8,
        ),
    ],
)
def test_attention_costs_queries_times_keys(
    tmp_path: Path, layer: NodeProto, shapes: Any, macs: int, left_out: int
) -> None:
    inputs = dict(zip("qkv", shapes, strict=False))
    report = counted(tmp_path, graph([layer], inputs))
    assert (report.macs, report.macs_attention, report.macs_all) == (0, macs, macs)
    assert report.masked_macs == left_out


def test_a_mask_of_attention_is_told(tmp_path: Path) -> None:
    shapes = {"q": (1, 2, 5, 4), "k": (1, 2, 7, 4), "v": (1, 2, 7, 4), "m": (5, 7)}
    assert counted(tmp_path, graph([node("Attention", "q k v m")], shapes)).masked_calls == 1


def test_keys_of_the_past_are_attended_to(tmp_path: Path) -> None:
    layer = node("Attention", "q k v _ a b", "y c d", is_causal=1)
    shapes = dict.fromkeys("qkv", (1, 2, 1, 4)) | dict.fromkeys("ab", (1, 2, 9, 4))
    report = counted(tmp_path, graph([layer], shapes))
    assert (report.macs_attention, report.masked_macs) == (2 * 10 * 8, 0)


def test_a_projection_in_the_node_is_linear(tmp_path: Path) -> None:
    layers = [node("Attention", "x w b", num_heads=2, domain=MS)]
    held = tensor("w", [6, 24]), tensor("b", [24])
    report = counted(tmp_path, graph(layers, {"x": (1, 5, 6)}, held=held))
    assert (report.macs_linear, report.macs_attention) == (5 * 6 * 24, 2 * 25 * 8)
    assert report.params == 6 * 24 + 24


@pytest.mark.parametrize(
    ("op", "outputs"),
    [
        ("SkipLayerNormalization", "n mean spread sum"),
        ("SkipSimplifiedLayerNormalization", "n mean spread sum"),
        ("SkipGroupNorm", "n sum"),
    ],
)
def test_the_sum_that_is_normalised_has_a_shape(tmp_path: Path, op: str, outputs: str) -> None:
    """A past bug: no product of a transformer's later layers had one."""
    layers = [node(op, "x x g", outputs, domain=MS), node("MatMul", "sum v")]
    held = tensor("g", [8]), tensor("v", [8, 5])
    report = counted(tmp_path, graph(layers, {"x": (2, 7, 8)}, held=held))
    assert (report.macs_all, report.uncounted) == (7 * 8 * 5, ())


def test_what_follows_fused_attention_has_a_shape(tmp_path: Path) -> None:
    layers = [
        node("MultiHeadAttention", "x k v", "a", num_heads=2, domain=MS),
        node("SkipLayerNormalization", "a x g", "n", domain=MS),
        node("MatMul", "n w", "p"),
        node("BiasGelu", "p b", domain=MS),
    ]
    held = tensor("g", [8]), tensor("w", [8, 3]), tensor("b", [3])
    shapes = {"x": (1, 5, 8), "k": (1, 7, 8), "v": (1, 7, 8)}
    report = counted(tmp_path, graph(layers, shapes, held=held))
    assert (report.macs_linear, report.uncounted) == (5 * 8 * 3, ())
    kinds = report.param_kinds
    assert (kinds.norm_scalars, kinds.linear_weights, kinds.biases) == (8, 24, 3)
