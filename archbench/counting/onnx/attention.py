"""Rules for scaled dot products in one node: queries times keys, then weights times values.

All queries times all keys count, whatever a mask leaves out; heads are those of the queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from archbench.counting.onnx.folding import number
from archbench.counting.onnx.rules import Called, Product, Rule, Work


@dataclass(frozen=True)
class _Heads:
    """Dot products: so many heads (of all images) of `queries` by `keys`, `depth` deep in all; the
    first `past` keys were there before.
    """

    heads: int
    queries: int
    keys: int
    depth: int
    past: int = 0

    @property
    def macs(self) -> int:
        return self.heads * self.queries * self.keys * self.depth

    @property
    def causal_left_out(self) -> int:
        """What a causal mask leaves out: row i sees the keys up to i, after those of the past."""
        growing = min(self.queries, max(0, self.keys - self.past))
        kept = growing * (growing + 1) // 2 + growing * self.past
        kept += (self.queries - growing) * self.keys
        return self.heads * self.depth * (self.queries * self.keys - kept)


def _product(called: Called, heads: _Heads, *, is_causal: bool, mask: int) -> Product:
    operands = tuple(value for value in called.inputs[:3] if value is not None)
    return Product(
        heads.macs,
        operands,
        "attention",
        left_out=heads.causal_left_out if is_causal else 0,
        has_mask=called.given(mask) is not None,
    )


def _standard(called: Called) -> list[Work]:
    """Attention of the standard domain: [B, H, S, E], or [B, S, H x E]."""
    query, key, value = (called.sides(index) for index in range(3))
    if len(query) == 4:
        heads, queries, deep = query[1], query[2], query[3]
        keys, values = key[2], value[3]
    else:
        heads = called.node.attribute("q_num_heads", 1)
        shared = called.node.attribute("kv_num_heads", heads)
        queries, keys = query[1], key[1]
        deep, values = query[2] // heads, value[2] // shared
    before = called.given(4)
    past = before.sides[2] if before is not None else 0
    found = _Heads(query[0] * heads, queries, keys + past, deep + values, past)
    return [_product(called, found, is_causal=bool(called.node.attribute("is_causal", 0)), mask=3)]


def _fused(called: Called) -> list[Work]:
    """Attention of com.microsoft: the input [B, S, C] is projected by one matrix [C, q + k + v]."""
    source, weight = called.sides(0), called.sides(1)
    sizes = called.node.attribute("qkv_hidden_sizes") or [weight[-1] // 3] * 3
    heads = called.node.attribute("num_heads", 1)
    is_quantised = called.node.op == "QAttention"
    before = called.given(8 if is_quantised else 4)
    past = before.sides[3] if before is not None else 0
    depth = (sizes[1] + sizes[2]) // heads
    found = _Heads(source[0] * heads, source[1], source[1] + past, depth, past)
    causal = bool(called.node.attribute("unidirectional", 0))
    projection = Product(prod(source) * weight[-1], (called.read(0), called.read(1)), "linear")
    return [
        projection,
        _product(called, found, is_causal=causal, mask=5 if is_quantised else 3),
    ]


def _several_heads(called: Called) -> list[Work]:
    """MultiHeadAttention of com.microsoft: [B, S, H x E]; keys and values may be packed with the
    queries, [B, S, H, 3, E], with each other, [B, S, H, 2, E], or come by heads, [B, H, S, E].
    """
    query = called.sides(0)
    heads = called.node.attribute("num_heads", 1)
    given = called.given(1)
    key = query if given is None else given.sides
    if len(key) == 5:
        keys, depth = key[1], 2 * key[4]
    elif len(key) == 4:
        keys, depth = key[2], key[3] + called.sides(2)[-1]
    else:
        keys, depth = key[1], (key[2] + called.sides(2)[-1]) // heads
    before = called.given(6)
    past = before.sides[2] if before is not None else 0
    found = _Heads(query[0] * heads, query[1], keys + past, depth, past)
    causal = bool(called.node.attribute("unidirectional", 0))
    return [_product(called, found, is_causal=causal, mask=4)]


def _grouped_queries(called: Called) -> list[Work]:
    """GroupQueryAttention of com.microsoft, causal: [B, S, H x E], keys and values packed behind
    the queries where there are no others.
    """
    query = called.sides(0)
    heads, shared = (called.node.attribute(name, 1) for name in ("num_heads", "kv_num_heads"))
    is_packed = called.given(1) is None
    deep = query[2] // (heads + 2 * shared) if is_packed else query[2] // heads
    before = called.given(3)
    past = before.sides[2] if before is not None else 0
    keys = number(called.given(6)) or past + query[1]
    found = _Heads(query[0] * heads, query[1], keys, 2 * deep, max(0, keys - query[1]))
    return [_product(called, found, is_causal=True, mask=len(called.inputs))]


STANDARD: dict[str, Rule] = {"Attention": _standard}
MICROSOFT: dict[str, Rule] = {
    "Attention": _fused,
    "QAttention": _fused,
    "MultiHeadAttention": _several_heads,
    "GroupQueryAttention": _grouped_queries,
}
