"""Torch itself, operator by operator or compiled: what runs the module that was built."""

from __future__ import annotations

from archbench.engines.engine import Engine, Package

TORCH = Package("torch", "2.9")
COMPILE = Engine(
    name="compile",
    summary="torch.compile, in the mode of compile:MODE",
    runtimes=(TORCH,),
    on_cpu=("fp32", "fp16", "bf16"),
    on_cuda=("fp32", "tf32", "fp16", "bf16"),
    honours=frozenset(("memory_format", "cudnn_benchmark", "fold_bn", "deterministic")),
    trains=True,
)
EAGER = Engine(
    name="eager",
    summary="PyTorch, operator by operator",
    runtimes=(TORCH,),
    on_cpu=COMPILE.on_cpu,
    on_cuda=COMPILE.on_cuda,
    honours=COMPILE.honours | {"cuda_graph"},
    trains=True,
)
