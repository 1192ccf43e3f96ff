"""The library's face: build a network by name, count one, or count any module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archbench.counting.any_module import count_any
from archbench.counting.check import Check, check_against_fvcore, check_against_torch
from archbench.counting.given import Given
from archbench.counting.inputs import Inputs, Shaped, leaves
from archbench.counting.passes import count_module
from archbench.counting.report import Call, CostReport
from archbench.counting.training import mean_square, train_memory
from archbench.papers import paper_params
from archbench.spec import ONNX, OptionValue, Spec, UsageError, origin_of, parse_size
from archbench.tracebacks import first_line
from archbench.zoo import catalogue, sources
from archbench.zoo.assemble import assemble
from archbench.zoo.catalogue import Network
from archbench.zoo.catalogue.blame import blamed, in_a_line
from archbench.zoo.contracts import Backbone, Detector
from archbench.zoo.sources.module.handing import Handing
from archbench.zoo.sources.module.reading import FOLDER as MODULE_FOLDER
from archbench.zoo.weightless import Weightless, WithoutWeights

__all__ = [
    "MODULE_FOLDER",
    "Backbone",
    "Call",
    "Check",
    "CostReport",
    "Detector",
    "blamed_on_plugin",
    "blaming",
    "build",
    "build_shell",
    "build_spec",
    "check_spec",
    "cost",
    "cost_spec",
    "count",
    "find_spec",
    "hand_over",
    "mean_square",
    "own_code",
    "own_options",
]

IMAGES = "one batch of images [B, 3, H, W]"
Size = str | int | tuple[int, int] | None


def build(
    backbone: str,
    detector: str | None = None,
    *,
    size: Size = None,
    classes: int | None = None,
    device: str = "cpu",
    options: Mapping[str, OptionValue] | None = None,
    **more: OptionValue,
) -> nn.Module:
    """Build a network by name with torch's initial weights, in evaluation mode: a Detector, a
    Classifier or a Backbone.

    `size` is a side in pixels, a (width, height) pair, or a text such as "1344x800"; `classes` is
    the number of foreground classes (0 without a detector: the backbone alone). Both default to the
    published values. Give options (`archbench list options`) as keywords, or in `options` if their
    names clash with an argument, such as batch. The device "meta" allocates nothing. Raises
    UsageError (a ValueError) for an unknown name or option, and for a size or pair that does not
    build.
    """
    spec = find_spec(
        backbone, detector, size=size, classes=classes, options={**(options or {}), **more}
    )
    return build_spec(spec, device=device)


def find_spec(backbone: str, detector: str | None = None, **call: Any) -> Spec:
    """Find the spec of a network by name, of a `size`, `classes`, `batch`, `mode` and `options`, as
    `build` and `cost` take them; of an ONNX graph of its `size` and `batch` alone.
    """
    if origin_of(backbone) == ONNX:
        return _graph_spec(backbone, detector, call)
    return catalogue.resolve(backbone, detector, **call).spec


def build_spec(spec: Spec, *, device: str = "cpu") -> nn.Module:
    """Build the network of a spec."""
    made = Weightless() if device == "meta" else torch.device(device)
    return assemble(catalogue.network(spec), made)


def build_shell(spec: Spec, *, device: str = "cpu") -> nn.Module:
    """Build the network of a spec without its weights: it postprocesses what something else has
    computed.

    What is from elsewhere may be built for real alone; its weights are dropped then. The shell of
    a graph, which torch does not build, is an empty module.
    """
    if spec.origin == ONNX:
        return nn.Module()
    if spec.origin:
        network = build_spec(spec, device=device)
        for module in network.modules():
            module._parameters.update(
                {
                    name: None if weight is None else nn.Parameter(weight.to("meta"), False)
                    for name, weight in module._parameters.items()
                }
            )
        return network
    with torch.device(device):
        return assemble(catalogue.network(spec), WithoutWeights())


def cost(
    backbone: str,
    detector: str | None = None,
    *,
    size: Size = None,
    classes: int | None = None,
    batch: int | None = None,
    mode: Literal["infer", "train"] = "infer",
    options: Mapping[str, OptionValue] | None = None,
    **more: OptionValue,
) -> CostReport:
    """Count the cost of a network by name, without allocating it; takes the arguments of `build`.

    Figures are per image; bytes are for the whole batch, in the network's precision.
    """
    call = {"size": size, "classes": classes, "batch": batch, "mode": mode}
    return cost_spec(find_spec(backbone, detector, **call, options={**(options or {}), **more}))


def cost_spec(spec: Spec) -> CostReport:
    """Count the network of a spec.

    Raises UsageError for an input that it cannot take or be trained on, and for whatever a user's
    own network raises.
    """
    if spec.origin == ONNX:
        from archbench.counting import onnx

        return onnx.count(spec.backbone, size=(spec.width, spec.height), batch=spec.batch)
    with blaming(spec, "cannot be counted"):
        report = _counted(catalogue.network(spec))
    figures = {"params": report.params, **asdict(report.param_kinds)}
    return replace(report, paper_params=paper_params(spec, figures))


def _counted(network: Network) -> CostReport:
    spec = network.spec
    try:
        if spec.origin:
            return _counted_anywhere(spec)
        module = build_spec(spec, device="meta")
        images = torch.empty(spec.batch, 3, spec.height, spec.width, device="meta")
        report = count_module(module, Inputs((images,)))
        if spec.mode == "train":
            return replace(report, train_memory_bytes=train_memory(module, (images,)))
        return report
    except UsageError:
        raise
    except Exception as error:
        if network.plugin_files or not (
            spec.origin or isinstance(error, RuntimeError | ValueError)
        ):
            raise
        cannot = "be trained" if spec.mode == "train" else "run"
        raise UsageError(f"{spec} cannot {cannot}: {first_line(error)}") from error


WAYS = (("meta", "meta"), ("cpu", "meta"), ("cpu", "cpu"))
"""Where a network from elsewhere is built and run to be counted: by shapes, if it can be."""


def _counted_anywhere(spec: Spec) -> CostReport:
    """Count in the first way that works; raises what the last one raises."""
    images = torch.empty(spec.batch, 3, spec.height, spec.width, device="meta")
    for built_on, run_on in WAYS:
        try:
            module = build_spec(spec, device=built_on)
            report = count_module(module, Inputs((images,)), device=run_on, is_batch=True)
            if spec.mode == "train" and run_on == "meta":
                report = replace(report, train_memory_bytes=train_memory(module, (images,)))
            return report
        except Exception:
            if (built_on, run_on) == WAYS[-1]:
                raise
    raise AssertionError("the last way returns or raises")


def _graph_spec(path: str, detector: str | None, call: Mapping[str, Any]) -> Spec:
    from archbench.counting.onnx import spec_of

    given = {**call, "detector": detector, "train": call.get("mode") == "train"}
    idle = [name for name in ("detector", "classes", "options", "train") if given.get(name)]
    if idle:
        raise UsageError(f"{path} is a graph, which runs as exported: leave out {', '.join(idle)}")
    return spec_of(path, size=call.get("size"), batch=call.get("batch"))


def hand_over(
    module: nn.Module,
    input: Any,
    folder: Path,
    *,
    size: Size = None,
    batch: int | None = None,
    mode: Literal["infer", "train"] = "infer",
) -> tuple[Spec, str]:
    """Write a module into a folder, for another process to make it there; give its spec, and the
    dtype that it takes images in.

    `input` is a batch of images as `count` takes inputs; None: one of `size` and `batch`. Raises
    UsageError for anything else, and for a module that cannot travel.
    """
    handing = _handing(module, input, size, batch)
    images = handing.images
    name = handing.write(folder, trains=mode == "train")
    count, _, height, width = images.shape
    spec = Spec(name, None, width, height, classes=None, batch=count, mode=mode)
    return spec, str(images.dtype).removeprefix("torch.")


def _handing(module: nn.Module, input: Any, size: Size, batch: int | None) -> Handing:
    if not isinstance(module, nn.Module):
        kind = type(module).__name__
        raise UsageError(
            f"an object of type {kind} cannot be measured: give a name, or an instance of nn.Module"
        )
    if input is None:
        sides = parse_size(size)
        if sides is None:
            raise UsageError(f"{type(module).__name__} needs an input: give {IMAGES}, or its size")
        input = (1 if batch is None else batch, 3, *sides[::-1])
    elif size is not None or batch is not None:
        raise UsageError("the input already has a size and a batch: leave out size and batch")
    given = Given(input, {}, None, 0).read(module)[0]
    values = [*given.args, *given.kwargs.values()]
    images = values[0] if len(values) == 1 else None
    if not (
        isinstance(images, Tensor | Shaped)
        and images.ndim == 4
        and images.shape[1] == 3
        and min(images.shape) > 0
        and images.is_floating_point()
    ):
        shapes = ", ".join(str([*leaf.shape]) for leaf in leaves(values)) or "nothing"
        raise UsageError(f"a module is measured on {IMAGES}, but {shapes} is given")
    held = next(module.parameters(), torch.empty(0)).device
    drawn = images.real(held) if isinstance(images, Shaped) else images.detach().to(held)
    return Handing(module, drawn, next(iter(given.kwargs), ""))


@contextmanager
def blaming(spec: Spec, cannot: str) -> Iterator[None]:
    """Turn whatever a user's own network raises for a while into a UsageError of one line, which
    says what it `cannot`; meanwhile it finds the modules beside it. Nothing else is changed.
    """
    network = catalogue.network(spec)
    with blamed(network.plugin_files, f"{spec} {cannot}"), sources.importable(network.backbone):
        yield


def own_code(spec: Spec) -> dict[str, Any]:
    """What an environment says of a user's own code in a network, as far as it has been run: its
    file, and the modules beside it that the hash in its name does not cover.
    """
    return sources.facts(catalogue.network(spec).backbone) if spec.origin else {}


def own_options(spec: Spec) -> dict[str, Any]:
    """Every option of a network that is from elsewhere, by its own signature where it has one."""
    network = catalogue.network(spec)
    own = {key: network.options[key] for key, _ in spec.options if key in network.options}
    return sources.settled(network.backbone, own)


def blamed_on_plugin(error: BaseException, spec: Spec) -> str:
    """Say in a line what a user's own network raised, and where; empty where no part of a spec's
    network is a user's own.
    """
    files = () if spec.origin == ONNX else catalogue.network(spec).plugin_files
    return in_a_line(error, files) if files else ""


def check_spec(spec: Spec, report: CostReport) -> Check:
    """Hold the count of a spec against fvcore's, on real weights on the CPU, and against torch's
    where it was made by shapes.
    """
    shape = (3, spec.height, spec.width)
    cannot = "cannot be held against fvcore, which runs it for real"
    try:
        with blaming(spec, cannot):
            check = check_against_fvcore(build_spec(spec), report, shape)
            if report.counted_on != "meta":
                return check
            # What is from elsewhere may be built for real alone, and yet run by shapes.
            network = build_spec(spec, device="cpu" if spec.origin else "meta").to("meta")
            return replace(check, torch=check_against_torch(network, shape))
    except (RuntimeError, MemoryError) as error:
        raise UsageError(f"{spec} {cannot}: {first_line(error)}") from error


def count(
    module: nn.Module,
    input: Any = (),
    *,
    kwargs: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    device: str = "meta",
    batch_dim: Any = 0,
) -> CostReport:
    """Count the cost of any module on an input: a tensor, a shape such as (1, 3, 224, 224), a tuple
    of positional arguments, a dict of keyword arguments, or anything else its forward pass takes.

    Tensors may be nested in lists, tuples, dicts, dataclasses and named tuples. ((2, 16),
    torch.int64) describes a tensor by its shape and dtype; `dtype` applies to all shapes without
    one (default: that of the weights). `kwargs` are further keyword arguments.

    Figures are per image, bytes for the batch: the size of the first floating-point tensor along
    `batch_dim` (1 for sequence-first inputs, None for an input without a batch, or a structure of
    these like the input), else the length of a list of images.

    Passes run on the meta device and need neither weights nor data. A module whose shapes depend on
    its data needs `device="cpu"`, or "auto", which falls back to the CPU. The module is left
    unchanged. Raises UsageError, with a message of one line, if it cannot be counted.
    """
    return count_any(module, Given(input, kwargs or {}, dtype, batch_dim), device)
