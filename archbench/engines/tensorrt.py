"""TensorRT (https://docs.nvidia.com/deeplearning/tensorrt): builds an engine for one card from an
exported ONNX file.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TensorRt(FileEngine):
    """TensorRT by its Python API of version 10, on torch's own memory and stream."""

    def load(self, path: Path, how: How) -> Loaded:
        import tensorrt

        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        plan = _build(path, how, logger)
        engine = tensorrt.Runtime(logger).deserialize_cuda_engine(plan)
        if engine is None:
            raise UnsupportedError("TensorRT could not load the engine that it built")
        facts = {"plan_bytes": str(plan.nbytes)}
        if how.precision in ("fp16", "bf16"):
            facts["precision"] = f"{how.precision} allowed, chosen layer by layer"
        return Loaded(_runner(engine, how), facts)


def _build(path: Path, how: How, logger: Any) -> Any:
    """Build the card's engine: its kernels are chosen by timing them."""
    import tensorrt

    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(path)):
        said = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise UnsupportedError(f"TensorRT does not support it: {said[:300]}")
    config = builder.create_builder_config()
    # TF32 is on unless it is cleared.
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    flag = {"tf32": "TF32", "fp16": "FP16", "bf16": "BF16"}.get(how.precision)
    if flag:
        config.set_flag(getattr(tensorrt.BuilderFlag, flag))
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise UnsupportedError("TensorRT could not build an engine")
    return plan


def _runner(engine: Any, how: How) -> Any:
    """Give what runs an engine; its outputs lie in tensors that are written anew by every call."""
    import tensorrt
    import torch

    context = engine.create_execution_context()
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    is_input = {name: engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT for name in names}
    (read,) = (name for name in names if is_input[name])
    outputs = []
    for name in (name for name in names if not is_input[name]):
        dtype = getattr(torch, tensorrt.nptype(engine.get_tensor_dtype(name)).__name__)
        shape = tuple(engine.get_tensor_shape(name))
        if min(shape, default=0) < 0:
            raise UnsupportedError(f"TensorRT: the size of output {name} depends on the data")
        outputs.append(torch.empty(shape, dtype=dtype, device=how.device))
        context.set_tensor_address(name, outputs[-1].data_ptr())

    def run(images: Tensor) -> list[Tensor]:
        images = images.contiguous()
        context.set_tensor_address(read, images.data_ptr())
        stream = torch.cuda.current_stream(how.device).cuda_stream
        if not context.execute_async_v3(stream):
            raise RuntimeError("TensorRT did not run the network")
        return outputs

    return run


TENSORRT = TensorRt(
    name="tensorrt",
    summary="TensorRT, an engine built for the card from an exported ONNX file",
    extra="tensorrt",
    runtimes=(
        # Version 11 has no precisions to allow: its networks are typed throughout.
        Package("tensorrt", "10.0", below="11", also=("tensorrt-cu12", "tensorrt-cu13")),
    ),
    on_cpu=(),
    on_cuda=("fp32", "tf32", "fp16", "bf16"),
)
