"""Rules for scaled-dot-product attention: queries times keys, then weights times values.

All of s_q x s_k counts, whatever a mask leaves out, as torch's own counter has it; heads are those
of the queries.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from archbench.counting.rules.work import Attention, Rule, Unknown, Work, argument


def _first(out: Any) -> Tensor:
    return out[0] if isinstance(out, tuple | list) else out


def _attention(*, mask_at: int | None, causal_at: int, mask: str = "attn_mask") -> Rule:
    """A rule for query [.., H, s_q, e], key [.., h, s_k, e], value [.., h, s_k, v] first."""

    def rule(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
        query, key, value = args[:3]
        written = _first(out)
        given = kwargs.get(mask) if mask_at is None else argument(args, kwargs, mask_at, mask)
        queries, keys = query.shape[-2], key.shape[-2]
        depth = query.shape[-1] + value.shape[-1]
        heads = written.shape[:-2].numel()
        kept = queries * keys
        if argument(args, kwargs, causal_at, "is_causal", False):
            # Row i sees the keys up to i.
            full = min(queries, keys)
            kept = full * (full + 1) // 2 + (queries - full) * keys
        return Attention(
            (query, key, value),
            written,
            heads * queries * keys * depth,
            "attention",
            left_out=heads * (queries * keys - kept) * depth,
            has_mask=given is not None,
        )

    return rule


def _sequence_second(starts_at: int) -> Rule:
    """A rule for query [B, s_q, H, e], key [B, s_k, h, e], value [B, s_k, h, v], or for sequences
    of several lengths [sum of s, H, e], whose starts are known on real tensors alone.
    """

    def rule(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
        query, key, value = args[:3]
        starts = args[starts_at : starts_at + 2]
        depth = query.shape[-1] + value.shape[-1]
        if starts[0] is None:
            pairs = query.shape[0] * query.shape[1] * key.shape[1]
        elif any(start is None or start.is_meta for start in starts):
            return Unknown()
        else:
            queries, keys = (start.diff().tolist() for start in starts)
            pairs = sum(q * k for q, k in zip(queries, keys, strict=True))
        macs = pairs * query.shape[-2] * depth
        return Attention((query, key, value), _first(out), macs, "attention")

    return rule


def _flexible(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """Attention with a function of scores and a mask of blocks [.., its function last]."""
    query, key, value, _, blocks = args[:5]
    written = _first(out)
    macs = written.shape[:-1].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])
    has_mask = getattr(blocks[-1], "__name__", "") != "noop_mask"
    return Attention((query, key, value), written, macs, "attention", has_mask=has_mask)


ATTENTION: dict[str, Rule] = {
    "aten::scaled_dot_product_attention": _attention(mask_at=3, causal_at=5),
    "aten::_scaled_dot_product_attention_math": _attention(mask_at=3, causal_at=5),
    "aten::_scaled_dot_product_attention_math_for_mps": _attention(mask_at=3, causal_at=5),
    "aten::_scaled_dot_product_flash_attention": _attention(mask_at=None, causal_at=4),
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention(mask_at=None, causal_at=4),
    "aten::_scaled_dot_product_efficient_attention": _attention(
        mask_at=3, causal_at=6, mask="attn_bias"
    ),
    "aten::_scaled_dot_product_cudnn_attention": _attention(
        mask_at=3, causal_at=6, mask="attn_bias"
    ),
    "aten::_scaled_dot_product_fused_attention_overrideable": _attention(
        mask_at=3, causal_at=5, mask="attn_bias"
    ),
    "higher_order::flex_attention": _flexible,
    "aten::_flash_attention_forward": _sequence_second(3),
    "aten::_efficient_attention_forward": _sequence_second(4),
}
