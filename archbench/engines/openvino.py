"""OpenVINO (https://docs.openvino.ai): runs an exported ONNX file on Intel's and other CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archbench.engines.engine import (
    FileEngine,
    How,
    Loaded,
    Package,
    UnsupportedError,
)
from archbench.spec import UsageError

if TYPE_CHECKING:
    from torch import Tensor

HINTS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", "int8": "f32"}
"""What is computed in: of a quantised file, whatever is not quantised. Left alone, OpenVINO takes
bf16 where the processor has it.
"""
ABILITIES = {"fp16": "FP16", "bf16": "BF16", "int8": "INT8"}
"""What OpenVINO calls a precision among a processor's abilities."""
LACKING = r"No conversion rule found for operations: (.+)"
"""How it says that it has no such operator."""
TOLD = ("INFERENCE_PRECISION_HINT", "INFERENCE_NUM_THREADS", "NUM_STREAMS", "ENABLE_CPU_PINNING")
"""Properties of a compiled network that are noted, as they are in force."""


@dataclass(frozen=True, kw_only=True)
class OpenVino(FileEngine):
    """OpenVINO's CPU plug-in."""

    def converts(self, precision: str) -> bool:
        return precision == "int8"

    def convert(
        self, exported: Path, folder: Path, precision: str, examples: Sequence[Tensor]
    ) -> Path:
        """Quantise weights and activations to 8 bits by NNCF's post-training quantisation
        (https://docs.openvino.ai, basic quantization flow).
        """
        import nncf
        import openvino

        model = openvino.Core().read_model(exported)
        batches = [batch.numpy() for batch in examples]
        quantised = nncf.quantize(model, nncf.Dataset(batches), subset_size=len(batches))
        made = folder / "model.xml"
        openvino.save_model(quantised, made, compress_to_fp16=False)
        return made

    def load(self, path: Path, how: How) -> Loaded:
        import openvino

        core = openvino.Core()
        wanted = ABILITIES.get(how.precision)
        if wanted and wanted not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UsageError(f"OpenVINO does not support {how.precision} on this processor")
        try:
            compiled = core.compile_model(core.read_model(path), "CPU", _config(how))
        except RuntimeError as error:
            UnsupportedError.check(error, "OpenVINO", LACKING)
            raise
        facts = {name.lower(): _told(compiled.get_property(name)) for name in TOLD}
        return Loaded(_runner(compiled), facts)


def _told(value: Any) -> str:
    """A property in words; a type of numbers by its name."""
    return str(value.get_type_name() if hasattr(value, "get_type_name") else value)


def _config(how: How) -> dict[str, Any]:
    """One stream of so many threads, for the least time of a call (OpenVINO, performance hints)."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": HINTS[how.precision],
        "INFERENCE_NUM_THREADS": how.threads,
        "NUM_STREAMS": 1,
    }


def _runner(compiled: Any) -> Any:
    """Give what runs a compiled network; input and outputs are views of one another's memory."""
    import openvino
    import torch

    request = compiled.create_infer_request()
    count = len(compiled.outputs)

    def run(images: Tensor) -> list[Tensor]:
        pixels = images.contiguous().numpy()
        request.set_input_tensor(openvino.Tensor(pixels, shared_memory=True))
        request.infer()
        return [torch.from_numpy(request.get_output_tensor(i).data) for i in range(count)]

    return run


OPENVINO = OpenVino(
    name="openvino",
    summary="OpenVINO, from an exported ONNX file",
    extra="openvino",
    runtimes=(Package("openvino", "2025.0"),),
    plain=frozenset(("deform_conv2d",)),
    quantisers=(Package("nncf", "2.14"),),
    on_cpu=("fp32", "fp16", "bf16", "int8"),
    on_cuda=(),
)
