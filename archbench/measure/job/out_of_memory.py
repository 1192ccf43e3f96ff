"""Tell an error that means too little memory from every other."""

from __future__ import annotations

from archbench.tracebacks import text_of

# Some libraries have no class for it, only words.
WORDS = (
    "can't allocate memory",  # torch's allocator on a CPU
    "CUDA error: out of memory",  # the driver
    "STATUS_ALLOC_FAILED",  # cuBLAS and cuDNN
    # cuDNN passes over engines whose workspace it gets no memory for, until none is left
    # (pytorch/pytorch, aten/src/ATen/native/cudnn/Conv_v8.cpp).
    "unable to find an engine",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory was not enough."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in text_of(error) for words in WORDS
    )
