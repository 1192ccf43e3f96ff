"""TensorRT (https://docs.nvidia.com/deeplearning/tensorrt): builds an engine for one card from an
exported ONNX file.
"""

from __future__ import annotations

from archbench.engines.engine import Engine, Package
from archbench.engines.onnxruntime import EXPORTERS

TENSORRT = Engine(
    name="tensorrt",
    summary="TensorRT, an engine built for the card from an exported ONNX file",
    extra="tensorrt",
    runtimes=(Package("tensorrt", "10.0"),),
    makers=EXPORTERS,
    on_cpu=(),
    on_cuda=("fp32", "tf32", "fp16", "bf16"),
)
