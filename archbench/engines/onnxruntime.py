"""ONNX Runtime (https://onnxruntime.ai): runs an exported ONNX file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

LACKING = (r"(\S+)\(-?\d+\) is not a registered", r"Could not find an implementation for (\w+)")
"""How it says that it has no such operator, or none for numbers of such a type."""
LEAST_SEVERE = 3
"""Messages below errors are not shown."""


@dataclass(frozen=True, kw_only=True)
class OnnxRuntime(FileEngine):
    """ONNX Runtime, on the CPU or through its CUDA provider."""

    def converts(self, precision: str) -> bool:
        return precision in ("int8", "fp16")

    def convert(
        self, exported: Path, folder: Path, precision: str, examples: Sequence[Tensor]
    ) -> Path:
        made = folder / "model.onnx"
        if precision == "fp16":
            _halve(exported, made)
        else:
            _quantise(exported, made, examples)
        return made

    def load(self, path: Path, how: How) -> Loaded:
        import onnxruntime

        on_cuda = how.device.type == "cuda"
        provider = "CUDAExecutionProvider" if on_cuda else "CPUExecutionProvider"
        if provider not in onnxruntime.get_available_providers():
            raise UsageError(
                f"this ONNX Runtime has no {provider}: pip install onnxruntime-gpu instead"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = how.threads, 1
        options.log_severity_level = LEAST_SEVERE
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(how.spin)))
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=[(provider, _of_provider(how))]
            )
        except Exception as error:
            UnsupportedError.check(error, "ONNX Runtime", *LACKING)
            raise
        used, *others = session.get_providers()
        if used != provider:
            # It goes on without a provider that does not load, such as for want of cuDNN.
            raise RuntimeError(f"ONNX Runtime did not load its {provider}, but {used}")
        facts = {
            # Operators that the first lacks run in the others.
            "provider": ", ".join([used, *others]),
            "threads": f"{how.threads}, 1 between operators",
            "spinning": "on" if how.spin else "off",
        }
        return Loaded(_runner(session, how), facts)


def _halve(exported: Path, made: Path) -> None:
    """Hold weights and activations in 16 bits, but for inputs and outputs
    (https://onnxruntime.ai/docs/performance/model-optimizations/float16.html).
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(str(exported)), keep_io_types=True), str(made))


def _quantise(exported: Path, made: Path, examples: Sequence[Tensor]) -> None:
    """Quantise weights and activations to 8 bits, statically, a scale a channel of weights
    (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    ready = made.with_name("ready.onnx")
    quant_pre_process(str(exported), str(ready), skip_symbolic_shape=True)
    quantize_static(
        str(ready),
        str(made),
        _reader(exported, examples),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )
    ready.unlink()


def _of_provider(how: How) -> dict[str, Any]:
    """What a provider is told: CUDA's, to work on torch's own stream and in its own precision
    (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html).
    """
    if how.device.type != "cuda":
        return {}
    import torch

    return {
        "device_id": str(how.device.index or 0),
        "user_compute_stream": str(torch.cuda.current_stream(how.device).cuda_stream),
        "use_tf32": str(int(how.precision == "tf32")),
    }


def _runner(session: Any, how: How) -> Any:
    """Give what runs a session on tensors where they lie; outputs are the session's own memory."""
    from torch.utils.dlpack import from_dlpack

    kind, number = how.device.type, how.device.index or 0
    (read,) = session.get_inputs()
    outputs = session.get_outputs()
    free = [output.name for output in outputs if not _is_fixed(output.shape)]
    binding = session.io_binding()
    for output in outputs:
        binding.bind_output(output.name, kind, number)

    def run(images: Tensor) -> list[Tensor]:
        images = images.contiguous()
        binding.bind_input(read.name, kind, number, "float32", images.shape, images.data_ptr())
        for name in free:
            binding.bind_output(name, kind, number)
        session.run_with_iobinding(binding)
        return [from_dlpack(value._ortvalue) for value in binding.get_outputs()]

    return run


def _is_fixed(shape: Sequence[Any] | None) -> bool:
    """Whether an output has one shape whatever the images. What a call left there is used again by
    the next one, which may not have another shape.
    """
    return bool(shape) and all(isinstance(side, int) for side in shape or ())


def _reader(exported: Path, examples: Sequence[Tensor]) -> Any:
    """Give the calibration its batches, one after the other."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader

    graph = onnx.load(str(exported), load_external_data=False).graph
    # Older exporters list the weights among the inputs.
    held = {tensor.name for tensor in graph.initializer}
    (name,) = (each.name for each in graph.input if each.name not in held)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest: Iterator[Tensor] = iter(examples)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._rest, None)
            return None if batch is None else {name: batch.numpy()}

    return Reader()


ONNXRUNTIME = OnnxRuntime(
    name="onnxruntime",
    summary="ONNX Runtime, from an exported ONNX file",
    extra="onnxruntime",
    runtimes=(Package("onnxruntime", "1.20", also=("onnxruntime-gpu",)),),
    on_cpu=("fp32", "int8"),
    on_cuda=("fp32", "tf32", "fp16"),
    honours=frozenset(("spin",)),
)
