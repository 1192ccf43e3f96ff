"""Count any module in one forward pass with a dispatch mode: functional calls count as well as
modules.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from archbench.counting.liveness import Liveness, tensors_in
from archbench.counting.report import Call, CostReport, ParamKinds
from archbench.counting.rules import RULES, BatchNorm, Convolution, Pool, Product, multiplies
from archbench.shapes import named_tensors, run_by_shape


class Trace(TorchDispatchMode):
    """Sees every operator of a forward pass and keeps what the report needs."""

    def __init__(
        self, module: nn.Module, weights: list[Tensor], inputs: list[Tensor], *, on_meta: bool
    ) -> None:
        super().__init__()
        self.batch = inputs[0].shape[0] if inputs and inputs[0].ndim > 1 else 1
        self.on_meta = on_meta
        self.calls: list[Call] = []
        self.cio_pool = 0
        self.bn_elements = 0
        self.uncounted: Counter[str] = Counter()
        self.liveness = Liveness([*weights, *inputs])
        self.bytes_all = 0
        self.peak_at = ""
        self._weights = {tensor.untyped_storage()._cdata for tensor in weights}
        self._names = {sub: name for name, sub in module.named_modules()}
        self._path = [""]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from wrapping the mode for its compiler, which would load it."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        out = run_by_shape(func, args, kwargs) if self.on_meta else func(*args, **kwargs)
        name = func._schema.name
        rule = RULES.get(name)
        if rule is not None:
            self._count(name, rule(args, kwargs, out))
        elif multiplies(name):
            self.uncounted[name] += 1
        written = list(tensors_in((out,)))
        self._move(
            [*tensors_in(args), *tensors_in(kwargs.values())],
            written,
            in_place=func._schema.is_mutable,
        )
        if self.liveness.add(written):
            self.peak_at = f"{self._path[-1]} ({name.partition('::')[2]})"
        return out

    @contextlib.contextmanager
    def paths(self) -> Iterator[None]:
        """Follow which submodule is running."""

        def enter(module: nn.Module, _: Any) -> None:
            self._path.append(self._names.get(module, ""))

        def leave(*_: Any) -> None:
            self._path.pop()

        handles = [sub.register_forward_pre_hook(enter) for sub in self._names]
        handles += [sub.register_forward_hook(leave, always_call=True) for sub in self._names]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _move(self, read: list[Tensor], written: list[Tensor], *, in_place: bool) -> None:
        """Count the bytes of an operator's inputs and outputs; one that gives its first input's
        storage back is a view of it.
        """
        is_view = (
            not in_place
            and read
            and written
            and read[0].untyped_storage()._cdata == written[0].untyped_storage()._cdata
        )
        if not is_view:
            self.bytes_all += sum(
                tensor.numel() * tensor.element_size() for tensor in (*read, *written)
            )

    def _images(self, runs: int) -> int:
        """The images among which so many images, crops or rows are shared; one where they are no
        multiple of the batch.
        """
        return self.batch if runs % self.batch == 0 else 1

    def _per_image(self, runs: int, total: int) -> int:
        """One image's share of a total over so many images, crops of images or rows."""
        return total // self._images(runs)

    def _count(self, name: str, work: Convolution | Product | Pool | BatchNorm | None) -> None:
        if isinstance(work, Convolution):
            self.calls.append(self._convolution(work))
        elif isinstance(work, Product):
            if work.certain or any(map(self._is_weight, (work.source, work.weight))):
                self.calls.append(self._linear(work))
            else:
                self.uncounted[name] += 1
        elif isinstance(work, Pool):
            self.cio_pool += self._per_image(
                work.source.shape[0], work.source.numel() + work.out.numel()
            )
        elif isinstance(work, BatchNorm):
            self.bn_elements += self._per_image(work.out.shape[0], work.out.numel())

    def _is_weight(self, tensor: Tensor | None) -> bool:
        return tensor is not None and tensor.untyped_storage()._cdata in self._weights

    def _convolution(self, work: Convolution) -> Call:
        weights = work.weight.numel()
        crops = self._per_image(work.crops, work.crops)
        activations = self._per_image(work.crops, work.source.numel() + work.out.numel())
        applied = crops * work.positions
        macs = applied * weights
        taps = max(1, weights // max(1, work.weight.shape[0] * work.weight.shape[1]))
        bound = 2 * sqrt(applied * macs / taps) + macs / applied if applied else 0.0
        rank = len(work.kernel)
        return Call(
            path=self._path[-1],
            op=f"conv_transpose{rank}d" if work.transposed else f"conv{rank}d",
            kernel=work.kernel,
            stride=work.stride,
            groups=work.groups,
            in_shape=tuple(work.source.shape),
            out_shape=tuple(work.out.shape),
            params=weights + (0 if work.bias is None else work.bias.numel()),
            macs=macs,
            mac_eq1=activations + weights,
            mac_bound=bound,
            cio=activations,
            images=self._images(work.crops),
            elements=work.source.numel() + weights + work.out.numel(),
        )

    def _linear(self, work: Product) -> Call:
        operands = (
            (work.weight, work.bias) if work.certain else (work.source, work.weight, work.bias)
        )
        rows = work.out.shape[:-1].numel()
        return Call(
            path=self._path[-1],
            op="linear",
            kernel=(),
            stride=(),
            groups=1,
            in_shape=tuple(work.source.shape),
            out_shape=tuple(work.out.shape),
            params=sum(
                t.numel()
                for t in operands
                if t is not None and (work.certain or self._is_weight(t))
            ),
            macs=self._per_image(rows, work.out.numel() * work.depth),
            mac_eq1=None,
            mac_bound=None,
            cio=None,
            images=self._images(rows),
            elements=sum(t.numel() for t in (work.source, work.weight, work.out) if t is not None),
        )


def param_kinds(module: nn.Module) -> ParamKinds:
    """Sort a module's scalars by kind; a parameter shared by several layers counts once."""
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    for layer in module.modules():
        kind = _kind(layer)
        for name, parameter in layer.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                if (
                    isinstance(layer, nn.modules.conv._ConvNd)
                    and layer.groups == 1
                    and name == "weight"
                ):
                    counts["dense_conv_channels"] += layer.out_channels
                own = kind if kind == "norm_scalars" or name != "bias" else "biases"
                counts[own if name in ("weight", "bias") else "other"] += parameter.numel()
        if kind == "norm_scalars":
            counts["norm_buffers"] += sum(
                b.numel() for b in layer.buffers(recurse=False) if b.is_floating_point()
            )
    return ParamKinds(**counts)


def _kind(layer: nn.Module) -> str:
    if isinstance(layer, nn.modules.conv._ConvNd):
        return "conv_weights"
    if isinstance(layer, nn.Linear):
        return "linear_weights"
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    return "norm_scalars" if isinstance(layer, norms) else "other"


def trace(
    module: nn.Module,
    inputs: tuple[Any, ...],
    *,
    device: str = "meta",
    context: Any = torch.inference_mode,
) -> CostReport:
    """Count one forward pass of a module in evaluation mode; `context` chooses the operators'
    spelling.

    On the meta device nothing is allocated or computed, and the module, wherever its weights are,
    stays as it is. Another device runs the pass for real, on copies where need be: for modules
    whose shapes depend on their data.
    """
    inputs = tuple(value.to(device) if isinstance(value, Tensor) else value for value in inputs)
    tensors = [value for value in inputs if isinstance(value, Tensor)]
    own = {
        name: t.detach().to(device, copy=not isinstance(t, nn.Parameter))
        for name, t in named_tensors(module)
    }
    mode = Trace(module, list(own.values()), tensors, on_meta=device == "meta")
    modes = {sub: sub.training for sub in module.modules()}
    try:
        module.eval()
        with context(), mode.paths(), mode:
            functional_call(module, own, inputs, tie_weights=False)
    finally:
        for sub, training in modes.items():
            sub.training = training
    boxes = getattr(module, "boxes", None)
    return CostReport(
        calls=tuple(mode.calls),
        params=sum(p.numel() for p in module.parameters()),
        param_kinds=param_kinds(module),
        cio_pool=mode.cio_pool + sum(call.cio or 0 for call in mode.calls),
        bn_elements=mode.bn_elements,
        activation_peak_bytes=mode.liveness.peak_bytes,
        activation_peak_at=mode.peak_at,
        activation_total_bytes=mode.liveness.total_bytes,
        bytes_all=mode.bytes_all,
        batch=mode.batch,
        boxes=boxes if isinstance(boxes, int) else None,
        uncounted=tuple(sorted(mode.uncounted.items())),
    )
