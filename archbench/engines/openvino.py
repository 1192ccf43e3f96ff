"""OpenVINO (https://docs.openvino.ai): runs an exported ONNX file on Intel's and other CPUs."""

from __future__ import annotations

from archbench.engines.engine import Engine, Package
from archbench.engines.onnxruntime import EXPORTERS

OPENVINO = Engine(
    name="openvino",
    summary="OpenVINO, from an exported ONNX file",
    extra="openvino",
    runtimes=(Package("openvino", "2025.0"),),
    makers=EXPORTERS,
    on_cpu=("fp32", "fp16", "bf16", "int8"),
    on_cuda=(),
)
