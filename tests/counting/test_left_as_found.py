"""Whatever a module does in its forward pass, it is afterwards as it was, after a failure too."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from bodies import Body
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.optim import swa_utils

import archbench
from archbench.spec import UsageError


class Slots:
    __slots__ = ("held", "unset")

    def __init__(self) -> None:
        self.held: Any = None


@dataclass(slots=True)
class State:
    last: Any = None
    all: list[Any] = field(default_factory=list)


class Plain:
    def __init__(self) -> None:
        self.last: Any = None
        self.parts = [1]


def seen(value: Any) -> Any:
    """What a tensor is, to be compared."""
    if isinstance(value, Tensor):
        total = float(value.detach().sum())
        return value.device.type, tuple(value.shape), round(total, 4), value.requires_grad
    return value


def conv(**options: Any) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3, **options)


def body(function: Callable[..., Any], **held: Any) -> Callable[[], nn.Module]:
    return lambda: Body(
        lambda m, x: (function(m, x), m.conv(x))[1],
        conv=conv(),
        **{name: make() for name, make in held.items()},
    )


def keeps(m: Any, x: Tensor) -> None:
    y = m.conv(x)
    m.last = y
    m.list.append(y)
    m.set.add(str(y.shape))
    m.dict["y"] = y
    m.queue.append(y)


def into_object(m: Any, x: Tensor) -> None:
    m.object.last = m.object.parts[0] = m.conv(x)


def into_slots(m: Any, x: Tensor) -> None:
    m.slots.held = m.slots.unset = m.conv(x)
    m.state.last = m.conv(x)
    m.state.all.append(x)


def writes(m: Any, x: Tensor) -> None:
    m.plain.add_(1)
    m.weight.data.mul_(2)
    m.conv.bias.data.copy_(torch.zeros_like(m.conv.bias))
    x.mul_(2)


def reassigns(m: Any, x: Tensor) -> None:
    m.conv.weight = nn.Parameter(torch.zeros(4, 3, 3, 3, device=x.device))
    m.register_buffer("table", torch.zeros(3, device=x.device))
    m.more = nn.Conv2d(3, 3, 1).to(x.device)


def gives_data(m: Any, x: Tensor) -> None:
    m.weight.data = torch.zeros(3, device=x.device)
    m.conv.bias.data = m.conv.bias.data * 2
    m.table.resize_(4).fill_(1)


def tracks(m: Any, x: Tensor) -> None:
    F.batch_norm(x, m.mean, m.table, training=True)
    F.instance_norm(x, m.other, m.more, use_input_stats=True)


def tracks_as_trained(m: Any, x: Tensor) -> None:
    m.norm.training = True
    m.norm(x)


def draws(m: Any, x: Tensor) -> None:
    torch.rand(3)
    torch.rand(3, generator=m.generator)
    F.dropout(x, 0.5, training=True)


def process(m: Any, x: Tensor) -> None:
    torch.set_default_dtype(torch.float64)


def attribute(*path: str) -> Callable[[Any], Any]:
    def find(module: Any) -> Any:
        for name in path:
            module = getattr(module, name)
        return seen(module)

    return find


def trained(module: nn.Module) -> nn.Module:
    return module.train()


def half_trained() -> nn.Module:
    module = nn.Sequential(conv(), nn.BatchNorm2d(4)).train()
    module[1].eval()
    return module


def hooked() -> nn.Module:
    module = nn.Sequential(conv())
    module[0].register_forward_hook(lambda *_: None)
    module[0].register_forward_pre_hook(lambda *_: None)
    return module


def patched() -> nn.Module:
    module = conv()
    module.forward = lambda x: F.conv2d(x, module.weight)  # type: ignore[method-assign]
    return module


def with_gradients() -> nn.Module:
    module = conv()
    module(torch.ones(1, 3, 8, 8)).sum().backward()
    return module


def tied() -> nn.Module:
    module = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3))
    module[1].weight = module[0].weight
    return module


# Name: how a module is made, and what of it is to stay.
KEPT: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "containers": (
        body(
            keeps, last=lambda: None, list=list, set=set, dict=dict, queue=lambda: deque(maxlen=2)
        ),
        lambda m: (m.last, m.list, m.set, m.dict, len(m.queue), m.queue.maxlen),
    ),
    "an object": (body(into_object, object=Plain), lambda m: (m.object.last, m.object.parts)),
    "slots": (
        body(into_slots, slots=Slots, state=State),
        lambda m: (m.slots.held, hasattr(m.slots, "unset"), m.state.last, m.state.all),
    ),
    "values": (
        body(writes, plain=lambda: torch.ones(1), weight=lambda: nn.Parameter(torch.ones(2))),
        lambda m: tuple(map(seen, (m.plain, m.weight, m.conv.bias))),
    ),
    "data": (
        body(
            gives_data,
            weight=lambda: nn.Parameter(torch.ones(2)),
            table=lambda: torch.ones(0),
        ),
        lambda m: tuple(map(seen, (m.weight, m.conv.bias, m.table))),
    ),
    "what it has": (
        body(reassigns),
        lambda m: (seen(m.conv.weight), list(m._buffers), list(m._modules), list(m.state_dict())),
    ),
    "random numbers": (
        body(draws, generator=torch.Generator),
        lambda m: (seen(torch.get_rng_state()), seen(m.generator.get_state())),
    ),
    "the default dtype": (body(process), lambda m: torch.get_default_dtype()),
    "a list of tensors": (
        body(lambda m, x: x * m.parts[0], parts=lambda: [torch.ones(1)]),
        lambda m: seen(m.parts[0]),
    ),
    "tensors in tuples in dicts": (
        body(lambda m, x: x * m.parts["a"][0], parts=lambda: {"a": (torch.ones(1),)}),
        lambda m: seen(m.parts["a"][0]),
    ),
    "statistics": (
        lambda: trained(nn.Sequential(conv(), nn.BatchNorm2d(4))),
        lambda m: (m.training, m[1].training, seen(m[1].running_mean)),
    ),
    "statistics of functions": (
        body(
            tracks,
            **dict.fromkeys(("mean", "table", "other", "more"), lambda: torch.full((3,), 3.0)),
        ),
        lambda m: [seen(each) for each in (m.mean, m.table, m.other, m.more)],
    ),
    "statistics of a layer that trains itself": (
        body(tracks_as_trained, norm=lambda: nn.BatchNorm2d(3)),
        lambda m: [seen(each) for each in m.norm.buffers()],
    ),
    "modes": (half_trained, lambda m: [each.training for each in m.modules()]),
    "hooks": (
        hooked,
        lambda m: (len(m[0]._forward_hooks), len(m[0]._forward_pre_hooks), "forward" in vars(m[0])),
    ),
    "a forward of its own": (patched, lambda m: vars(m)["forward"].__name__),
    "gradients": (with_gradients, attribute("weight", "grad")),
    "what is frozen": (lambda: conv().requires_grad_(False), attribute("weight")),
    "a memory format": (
        lambda: conv().to(memory_format=torch.channels_last),
        lambda m: m.weight.stride(),
    ),
    "tied weights": (tied, lambda m: m[0].weight is m[1].weight),
    "a spectral norm": (
        lambda: trained(parametrizations.spectral_norm(conv())),
        lambda m: seen(m.parametrizations.weight[0]._u),
    ),
    "an average": (lambda: swa_utils.AveragedModel(conv()), lambda m: int(m.n_averaged)),
    "a spread module": (lambda: nn.DataParallel(conv()), attribute("module", "weight")),
    "an optimiser": (
        lambda: Body(
            lambda m, x: m.conv(x), conv=(c := conv()), opt=torch.optim.SGD(c.parameters())
        ),
        lambda m: m.opt.param_groups[0]["params"][0] is m.conv.weight,
    ),
}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(("make", "look"), KEPT.values(), ids=KEPT)
def test_a_module_is_afterwards_as_it_was(
    make: Callable[[], nn.Module], look: Callable[[Any], Any], device: str, fails: bool
) -> None:
    module, image = make(), torch.ones(2, 9 if fails else 3, 8, 8)
    before = look(module)
    try:
        archbench.count(module, image, device=device)
    except UsageError:
        assert fails
    assert look(module) == before
    assert seen(image) == seen(torch.ones(image.shape))
