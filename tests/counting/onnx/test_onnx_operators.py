"""Every operator that onnx knows is counted, known to multiply nothing, or named as uncounted."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphs import NodeProto, counted, graph, model, node
from onnx.defs import get_all_schemas

from archbench.counting.onnx.control import CONTROL
from archbench.counting.onnx.counting import RULES
from archbench.counting.onnx.rules import MULTIPLY

ELEMENTWISE = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
    Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid
    HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu
    Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum
    SwiGLU Swish Tan Tanh ThresholdedRelu Where Xor Dropout RotaryEmbedding Binarizer Imputer Scaler
"""
REDUCTIONS = """
    ArgMax ArgMin CumProd CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMin ReduceProd
    ReduceSum ReduceSumSquare Hardmax LogSoftmax Softmax TopK Unique GroupNormalization LRN
    InstanceNormalization LayerNormalization LpNormalization MeanVarianceNormalization Normalizer
    RMSNormalization NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss
"""
MOVES = """
    BitCast Cast CastLike CenterCropPad Col2Im Compress Concat ConcatFromSequence DepthToSpace
    DequantizeLinear DynamicQuantizeLinear Expand Flatten Gather GatherElements GatherND Identity
    NonMaxSuppression NonZero OneHot Optional OptionalGetElement OptionalHasElement Pad
    QuantizeLinear ReverseSequence Scatter ScatterElements ScatterND SequenceAt SequenceConstruct
    SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Size Slice SpaceToDepth Split
    SplitToSequence Squeeze TensorScatter Tile Transpose Trilu Unsqueeze ArrayFeatureExtractor
    FeatureVectorizer
"""
RESAMPLES = "AffineGrid GridSample MaxRoiPool MaxUnpool Resize RoiAlign Upsample"
MAKES = """
    Bernoulli BlackmanWindow Constant ConstantOfShape EyeLike HammingWindow HannWindow ImageDecoder
    MelWeightMatrix Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range
"""
LOOKS_UP = """
    CastMap CategoryMapper DictVectorizer LabelEncoder OneHotEncoder RegexFullMatch StringConcat
    StringNormalizer StringSplit TfIdfVectorizer TreeEnsemble TreeEnsembleClassifier
    TreeEnsembleRegressor ZipMap
"""
TRAINS = "Adagrad Adam Momentum"
WITHOUT = frozenset(
    " ".join((ELEMENTWISE, REDUCTIONS, MOVES, RESAMPLES, MAKES, LOOKS_UP, TRAINS)).split()
)
HAVE_BODIES = CONTROL.keys() | {"SequenceMap"}


def test_every_operator_is_sorted() -> None:
    """One that is new to onnx would cost nothing until it stands in a set here or has a rule."""
    unsorted = [
        f"{schema.domain}::{schema.name}"
        for schema in get_all_schemas()
        if schema.name not in RULES.get(schema.domain, {})
        and schema.name not in WITHOUT | MULTIPLY | HAVE_BODIES
    ]
    assert unsorted == []


def test_no_operator_is_sorted_twice() -> None:
    ruled = {op for rules in RULES.values() for op in rules}
    assert not WITHOUT & (MULTIPLY | HAVE_BODIES | ruled)
    assert not MULTIPLY & ruled


ATTENTION = {"q": (1, 2, 5, 4), "k": (1, 2, 7, 4), "v": (1, 2, 7, 4)}


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (
            node(
                "LinearAttention",
                "q k v",
                "y s",
                q_num_heads=2,
                kv_num_heads=2,
                update_rule="linear",
            ),
            dict.fromkeys("qkv", (1, 5, 8)),
        ),
        (node("CausalConvWithState", "q w", "y s"), {"q": (1, 4, 9), "w": (4, 1, 3)}),
        (node("FlexAttention", "q k v", domain="ai.onnx.preview"), ATTENTION),
    ],
    ids=lambda each: each.op_type if isinstance(each, NodeProto) else "",
)
def test_new_operators_that_multiply_are_named(
    tmp_path: Path, layer: NodeProto, shapes: dict[str, tuple[int, ...]]
) -> None:
    """A past bug: they cost nothing, and nothing said so."""
    made = model(graph([layer], shapes), {"": 28, "ai.onnx.preview": 1})
    name = f"{layer.domain}::{layer.op_type}" if layer.domain else layer.op_type
    assert counted(tmp_path, made).uncounted == ((name, 1),)
