"""Networks as ONNX files, which ONNX Runtime, OpenVINO and TensorRT read."""

from archbench.engines.onnx.exporting import Exported, ExportError, export

__all__ = ["ExportError", "Exported", "export"]
