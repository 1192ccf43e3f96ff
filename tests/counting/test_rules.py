"""Which operators are named when they have no rule."""

from __future__ import annotations

import pytest

from archbench.counting.rules import RULES, multiplies


@pytest.mark.parametrize(
    "name",
    [
        "aten::bmm",
        "aten::baddbmm",
        "aten::addbmm",
        "aten::mv",
        "aten::addmv",
        "aten::dot",
        "aten::vdot",
        "aten::einsum",
        "aten::lstm",
        "aten::lstm_cell",
        "aten::gru",
        "aten::rnn_tanh",
        "aten::mkldnn_rnn_layer",
        "aten::_cudnn_rnn",
        "aten::bilinear",
        "aten::_trilinear",
        "aten::cdist",
        "aten::_scaled_dot_product_flash_attention",
        "aten::_scaled_dot_product_flash_attention_for_cpu",
        "aten::_native_multi_head_attention",
        "aten::_transformer_encoder_layer_fwd",
        "aten::mkldnn_convolution",
        "aten::cudnn_convolution",
        "aten::conv_tbc",
        "aten::_int_mm",
        "aten::_scaled_mm",
        "aten::_addmm_activation",
        "aten::_grouped_mm",
        "aten::inner",
        "aten::tensordot",
        "aten::linalg_vecdot",
        "aten::linalg_multi_dot",
        "aten::chain_matmul",
        "aten::mkldnn_linear",
        "aten::_cdist_forward",
        "aten::_euclidean_dist",
        "aten::affine_grid_generator",
        "torchvision::deform_conv2d",
        "aten::slow_conv3d",
    ],
)
def test_what_multiplies_is_named(name: str) -> None:
    assert multiplies(name)


@pytest.mark.parametrize(
    "name",
    [
        "aten::mul",
        "aten::add",
        "aten::relu",
        "aten::batch_norm",
        "aten::max_pool2d",
        "aten::softmax",
        "aten::cat",
        "aten::norm",
        "aten::upsample_bilinear2d",
        "aten::_upsample_bilinear2d_aa",
        "aten::upsample_trilinear3d",
        "aten::upsample_linear1d",
        "aten::grid_sampler_2d",
        "aten::unfold",
        "aten::view",
        "aten::comm",
        "aten::rrelu",
        "aten::_conj",
        "aten::gather",
        "archbench::nms",
    ],
)
def test_what_does_not_is_not(name: str) -> None:
    assert not multiplies(name)


REDUCES = {f"aten::{name}" for name in ("mean", "amax", "max")}


@pytest.mark.parametrize(
    "name",
    [name for name in RULES if "pool" not in name and "norm" not in name and name not in REDUCES],
)
def test_a_rule_is_about_what_multiplies(name: str) -> None:
    assert multiplies(name)
