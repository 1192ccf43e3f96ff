"""Count what one node does, by its rule or its name."""

from __future__ import annotations

from collections import Counter

from archbench.counting.onnx import attention
from archbench.counting.onnx.bodies import Node
from archbench.counting.onnx.rules import (
    CONVOLUTIONS,
    MULTIPLY,
    POOLS,
    PRODUCTS,
    QUANTISED,
    WITHOUT_PRODUCTS,
    BatchNorm,
    Called,
    Product,
    Rule,
    Work,
)
from archbench.counting.onnx.values import MICROSOFT, UnknownShapeError, Value
from archbench.counting.onnx.weights import SETTING, places_of
from archbench.counting.tally import ConvolutionCall, Pass, Row

RULES: dict[str, dict[str, Rule]] = {
    "": CONVOLUTIONS | PRODUCTS | POOLS | attention.STANDARD,
    MICROSOFT: CONVOLUTIONS | PRODUCTS | POOLS | attention.MICROSOFT,
}


def count_node(
    called: Called, path: str, result: Pass, quantised: Counter[str], *, is_known: bool
) -> None:
    """Add what a node does to a pass; one that multiplies, or may, and has no rule is named.

    `is_known` says whether onnx knows the operator. Products of integers are counted in
    `quantised` too.
    """
    node = called.node
    rule = RULES.get(node.domain, {}).get(node.op)
    if rule is None:
        if _may_multiply(node, is_known=is_known):
            result.named[_name(node)] += 1
        return
    try:
        works = rule(called)
        for work in works:
            _count(work, called, path, result)
    except UnknownShapeError:
        result.named[f"{_name(node)} of an unknown shape"] += 1
        return
    except (ValueError, IndexError, TypeError, ZeroDivisionError, AttributeError):
        result.named[_name(node)] += 1
        return
    if any(isinstance(work, ConvolutionCall | Product) for work in works):
        _note_quantised(called, quantised)


def _name(node: Node) -> str:
    return f"{node.domain}::{node.op}" if node.domain else node.op


def _may_multiply(node: Node, *, is_known: bool) -> bool:
    """Whether an operator without a rule multiplies matrices, or has insides of which nothing is
    known.
    """
    if node.domain in RULES and node.op in WITHOUT_PRODUCTS:
        return False
    return bool(node.bodies) or not is_known or node.op in MULTIPLY


def _count(work: Work, called: Called, path: str, result: Pass) -> None:
    if isinstance(work, ConvolutionCall):
        result.rows.append(work.row(path))
    elif isinstance(work, Product):
        result.rows.append(_product(work, called, path))
        result.left_out += work.left_out
        result.with_mask += work.has_mask
    elif isinstance(work, BatchNorm):
        result.bn_elements += called.outputs[0].size
    else:
        result.pool_elements += called.read(0).size + called.outputs[0].size


def _product(work: Product, called: Called, path: str) -> Row:
    has_weight = any(value.is_constant and value.is_stored for value in work.operands)
    kind = work.kind or ("linear" if has_weight else "other")
    first = next((value for value in work.operands if not value.is_constant), work.operands[0])
    out = called.outputs[0]
    places = places_of(called.node)
    weights = {
        weight
        for index, value in enumerate(called.inputs)
        if value is not None and places.get(index) != SETTING
        for weight in value.roots
    }
    return Row(
        path=path,
        op=kind if kind in ("linear", "attention") else called.node.op.lower(),
        kind=kind,
        macs=work.macs,
        params=sum(weight.size for weight in weights),
        elements=sum(value.size for value in (*work.operands, out)),
        in_shape=first.sides,
        out_shape=out.sides,
    )


def _note_quantised(called: Called, quantised: Counter[str]) -> None:
    name = _name(called.node)
    if QUANTISED.search(called.node.op):
        quantised[name] += 1
    elif any(_is_dequantised(value) for value in called.inputs):
        quantised[f"{name} of dequantised tensors"] += 1


def _is_dequantised(value: Value | None) -> bool:
    return value is not None and value.writer == "DequantizeLinear"
