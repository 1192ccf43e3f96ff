"""ONNX Runtime (https://onnxruntime.ai): runs an exported ONNX file."""

from __future__ import annotations

from archbench.engines.engine import Engine, Package

EXPORTERS = (Package("onnx", "1.23"), Package("onnxscript", "0.5"))
"""What torch exports to ONNX with."""
ONNXRUNTIME = Engine(
    name="onnxruntime",
    summary="ONNX Runtime, from an exported ONNX file",
    extra="onnxruntime",
    runtimes=(Package("onnxruntime", "1.20"),),
    makers=EXPORTERS,
    on_cpu=("fp32", "int8"),
    on_cuda=("fp32", "tf32", "fp16"),
)
