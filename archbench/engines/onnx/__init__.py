"""Networks as ONNX files, which ONNX Runtime, OpenVINO and TensorRT read."""

from archbench.engines.onnx.exporting import (
    Exported,
    ExportError,
    export,
    output_names,
    traced,
)

__all__ = ["ExportError", "Exported", "export", "output_names", "traced"]
