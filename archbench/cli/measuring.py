"""The options that say how to measure, for every command that does, and the settings that they
make.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from archbench.settings import QUICK, Settings

Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[str, typer.Option("--precision", help="fp32 (IEEE), tf32, fp16 or bf16.")]
MemoryFormat = Annotated[str, typer.Option("--memory-format", help="contiguous or channels_last.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", help="CPU threads. Default: the physical cores this process may use."
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of weights and inputs.")]
Quick = Annotated[
    bool, typer.Option("--quick", help="Seconds instead of half a minute, a wider interval.")
]
Budget = Annotated[
    float | None, typer.Option("--budget", help="Seconds of timing at most. Default: 30, quick 5.")
]
Deadline = Annotated[
    float | None,
    typer.Option(
        "--deadline", help="Seconds after which a job is ended. Default: 3 x budget + 600."
    ),
]
FoldBn = Annotated[
    bool, typer.Option("--fold-bn", help="Fold batch norms into the convolutions before them.")
]
Compile = Annotated[
    str, typer.Option("--compile", metavar="MODE", help="torch.compile's mode, such as default.")
]
CudaGraph = Annotated[
    bool, typer.Option("--cuda-graph", help="Replay the network as a CUDA graph.")
]
CudnnBenchmark = Annotated[
    bool,
    typer.Option(
        "--cudnn-benchmark/--no-cudnn-benchmark", help="Let cuDNN try out its algorithms."
    ),
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Deterministic algorithms only.")
]
Roofline = Annotated[
    bool,
    typer.Option(
        "--roofline",
        help="Measure the device's peaks (10 s, then kept) and how near to them a network comes.",
    ),
]
AllowShared = Annotated[
    bool, typer.Option("--allow-shared", help="Measure, and flag, a card that others use.")
]
Results = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Folder that records are appended to.")
]


def settings_of(*, quick: bool, **given: Any) -> Settings:
    """The quick or the default protocol with what was given; None leaves the protocol's own."""
    return replace(
        QUICK if quick else Settings(),
        **{key: value for key, value in given.items() if value is not None},
    )
