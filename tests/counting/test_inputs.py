"""One image means one image: the batch is found in whatever a module is given."""

from __future__ import annotations

from collections import deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import archbench

PER_IMAGE = 36 * 27 * 8
X = torch.randn(2, 3, 8, 8)


@dataclass
class Sample:
    image: Tensor
    name: str = ""


Pair = namedtuple("Pair", "image mask")


class Via(nn.Module):
    """A convolution of what a function picks out of the arguments."""

    def __init__(self, pick: Callable[..., Tensor]) -> None:
        super().__init__()
        self.conv, self.pick = nn.Conv2d(3, 8, 3), pick

    def forward(self, *given: Any, **named: Any) -> Tensor:
        return self.conv(self.pick(*given, **named))


NESTED: dict[str, tuple[Callable[..., Tensor], Any, dict[str, Any]]] = {
    "a tensor": (lambda x: x, X, {}),
    "a shape": (lambda x: x, (2, 3, 8, 8), {}),
    "a dict": (lambda batch: batch["image"], ({"image": X},), {}),
    "a dict itself": (lambda batch: batch["image"], {"image": X}, {}),
    "a shape in a dict": (lambda batch: batch["image"], {"image": (2, 3, 8, 8)}, {}),
    "a list of images": (torch.stack, ([X[0], X[1]],), {}),
    "images and a flag": (lambda images, _: torch.stack(images), ([X[0], X[1]], True), {}),
    "a tuple in the tuple": (lambda pair: pair[0] + pair[1], ((X, X),), {}),
    "a dataclass": (lambda sample: sample.image, Sample(X), {}),
    "a named tuple": (lambda pair: pair.image, (Pair(X, X),), {}),
    "by name": (lambda *, image: image, (), {"kwargs": {"image": X}}),
    "a dict of lists": (lambda batch: torch.stack(batch["images"]), {"images": [X[0], X[1]]}, {}),
}


@pytest.mark.parametrize(("pick", "given", "options"), NESTED.values(), ids=NESTED)
def test_nested_inputs(pick: Callable[..., Tensor], given: Any, options: dict[str, Any]) -> None:
    report = archbench.count(Via(pick), given, **options)
    assert (report.macs, report.batch, report.notes) == (PER_IMAGE, 2, ())
    assert report.activation_peak_bytes >= 4 * 2 * 8 * 36


class PerSample(nn.Module):
    """A kernel for each image, applied by groups."""

    def __init__(self) -> None:
        super().__init__()
        self.route, self.bank = nn.Linear(4, 4), nn.Parameter(torch.randn(4, 8 * 4 * 9))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        kernels = (self.route(x.mean((2, 3))) @ self.bank).view(b * 8, 4, 3, 3)
        return F.conv2d(x.reshape(1, b * c, h, w), kernels, padding=1, groups=b).view(b, 8, h, w)


class Once(nn.Module):
    """Work on a table, once a pass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mlp = nn.Conv2d(3, 4, 1), nn.Linear(2, 16)
        self.table = nn.Buffer(torch.randn(16, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.mlp(self.table).mean()


@pytest.mark.parametrize("batch", [1, 2, 3, 16])
def test_figures_of_one_image_are_the_same_at_every_batch(batch: int) -> None:
    assert archbench.count(PerSample(), (batch, 4, 8, 8)).macs == 16 + 1152 + 64 * 288
    once = archbench.count(Once(), (batch, 3, 4, 4))
    assert once.macs == 16 * 12 + 16 * 32
    assert [call.images for call in once.calls] == [batch, 1]


def test_where_batch_1_does_not_run_batches_are_fitted() -> None:
    norm = nn.Sequential(nn.BatchNorm2d(4, track_running_stats=False), nn.Conv2d(4, 8, 1))
    report = archbench.count(norm, (4, 4, 1, 1))
    assert (report.macs, report.bn_elements, report.notes) == (32, 4, ())


def test_layouts_and_unbatched_inputs() -> None:
    layer = nn.Linear(7, 4)
    assert archbench.count(layer, (5, 2, 7), batch_dim=1).macs == 5 * 28
    assert archbench.count(layer, (5, 7), batch_dim=None).macs == 5 * 28
    assert archbench.count(layer, (7,)).notes == ()
    lstm, x, h = nn.LSTM(7, 4, batch_first=True), torch.randn(2, 5, 7), torch.zeros(1, 2, 4)
    assert archbench.count(lstm, (x, (h, h)), batch_dim=(0, (1, 1))).macs_all == 5 * 16 * 11


def test_integers_and_halves_by_shape_and_dtype() -> None:
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))
    assert archbench.count(model, (2, 5), dtype=torch.int64).macs == 5 * 8
    assert archbench.count(model, ((2, 5), torch.int64)).macs == 5 * 8
    assert archbench.count(nn.Conv2d(3, 8, 3).half(), (2, 3, 8, 8)).macs == PER_IMAGE


def test_an_input_that_no_batch_divides_is_counted_as_given_and_says_so() -> None:
    report = archbench.count(nn.Conv2d(3, 8, 3), (3, 8, 8))
    assert report.macs == PER_IMAGE
    assert report.batch == 1
    assert len(report.notes) == 1


class Passes(nn.Module):
    """Hands whatever it is given on to a layer, as wrappers do: its signature tells nothing."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner(*args, **kwargs)


class Stacks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, images: Any) -> Any:
        images = images["images"] if isinstance(images, dict) else images
        return self.conv(torch.stack(images))


@pytest.mark.parametrize(
    ("inner", "given"),
    [
        (nn.Conv2d(3, 8, 3), {"input": torch.randn(2, 3, 8, 8)}),
        (Stacks(), {"images": [torch.randn(3, 8, 8), torch.randn(3, 8, 8)]}),
        (Stacks(), [torch.randn(3, 8, 8), torch.randn(3, 8, 8)]),
        (Stacks(), [[torch.randn(3, 8, 8), torch.randn(3, 8, 8)]]),
        (nn.Conv2d(3, 8, 3), [torch.randn(2, 3, 8, 8)]),
    ],
    ids=["by name", "a dict", "a list", "a list in a list", "by place"],
)
def test_a_signature_that_takes_anything(inner: nn.Module, given: Any) -> None:
    assert archbench.count(Passes(inner), given).macs == 36 * 27 * 8


def test_a_scalar_by_its_shape() -> None:
    module = Passes(nn.Bilinear(3, 3, 2))
    module.inner.forward = lambda x, t: x * t  # type: ignore[method-assign]
    report = archbench.count(module, [((2, 3), torch.float32), ((), torch.int64)])
    assert report.macs_all == 0


@pytest.mark.parametrize(
    ("given", "of"),
    [
        ((MappingProxyType({"image": torch.randn(2, 3, 8, 8)}),), lambda x: x["image"]),
        ((deque([torch.randn(2, 3, 8, 8)]),), lambda x: x[0]),
        ((deque([torch.randn(3, 8, 8)] * 2),), lambda x: torch.stack(list(x))),
        (
            ([{"image": torch.randn(3, 8, 8), "height": 8}] * 2,),
            lambda x: torch.stack([each["image"] for each in x]),
        ),
        (
            ([(torch.randn(3, 8, 8), {"boxes": torch.zeros(n, 4)}) for n in (1, 3)],),
            lambda x: torch.stack([image for image, _ in x]),
        ),
    ],
    ids=["a proxy", "a deque", "a deque of images", "a dict an image", "pairs"],
)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_containers_of_other_types(given: Any, of: Callable[[Any], Tensor], device: str) -> None:
    module = Passes(nn.Conv2d(3, 8, 3))
    module.forward = lambda x: module.inner(of(x))  # type: ignore[method-assign]
    assert archbench.count(module, given, device=device).macs == PER_IMAGE


@pytest.mark.parametrize(
    "elsewhere",
    [lambda x: x.cpu(), lambda x: x.to("cpu"), lambda x: x.to("cpu", torch.float64).float()],
)
def test_data_that_goes_to_another_device_stays_a_shape(elsewhere: Callable[[Tensor], Any]) -> None:
    module = Passes(nn.Conv2d(3, 8, 3))
    module.forward = lambda x: module.inner(elsewhere(x))  # type: ignore[method-assign]
    assert archbench.count(module, (2, 3, 8, 8)).macs == PER_IMAGE
