"""What a network must offer: `Backbone`, `Classifier`, `Detector` and what passes between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.spec import UsageError
from archbench.zoo.layers import Norm


@dataclass(frozen=True)
class Stage:
    """One feature map that a backbone offers: its step's name, its channels, and how many input pixels a cell spans.

    Vectors, such as what VGG's linear layers give, have stride 0 and no level.
    """

    name: str
    channels: int
    stride: int

    @property
    def level(self) -> str:
        """The map's place in a pyramid: c3 at stride 8, c5 at stride 32."""
        return f"c{self.stride.bit_length() - 1}" if self.stride else ""


@dataclass(frozen=True)
class Preparation:
    """What a paper does to a picture before its network sees it.

    The picture is scaled to [0, `scale`], the mean subtracted, the result divided by `std`, per channel in `order`; then it
    is resized to the input, its aspect not kept ("warp").
    """

    order: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __call__(self, picture: Tensor, size: tuple[int, int]) -> Prepared:
        """Turn a picture, uint8 [3, H, W] in RGB, into an input of `size` (width, height)."""
        if picture.dtype != torch.uint8 or picture.ndim != 3 or picture.shape[0] != 3:
            raise UsageError(f"a picture is uint8 [3, H, W], not {picture.dtype} {list(picture.shape)}")
        image = picture.float() * (self.scale / 255)
        image = image.flip(0) if self.order == "bgr" else image
        mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (self.mean, self.std))
        width, height = size
        image = F.interpolate(((image - mean) / std)[None], (height, width), mode="bilinear", align_corners=False)[0]
        return Prepared(image, scale=(picture.shape[2] / width, picture.shape[1] / height))


@dataclass(frozen=True)
class Prepared:
    """An input [3, H, W] and the factors (x, y) that bring its pixels back to the picture's."""

    image: Tensor
    scale: tuple[float, float]


@dataclass(frozen=True)
class Detections:
    """What was found in one image, best first: boxes [N, 4] as x1, y1, x2, y2 in pixels, scores [N], labels [N] from 0."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def on_picture(self, prepared: Prepared) -> Detections:
        """The same detections in the pixels of the picture that was prepared."""
        x, y = prepared.scale
        return Detections(self.boxes * self.boxes.new_tensor([x, y, x, y]), self.scores, self.labels, self.masks)


class Backbone(nn.Module):
    """A chain of named steps that gives the maps after some of them.

    `steps` maps each step's name to its module, in order. `stages` say which steps end a stage. `taps` say what `forward`
    gives: levels (c3: the deepest stage at stride 8) or names of steps; None gives the last map. No step is kept past
    the last tap. `norm` says what the backbone is made with; necks and heads follow it.
    """

    preparation = Preparation()

    def __init__(
        self, steps: Mapping[str, nn.Module], stages: Sequence[Stage], *, taps: Sequence[str] | None = None, norm: Norm = "bn"
    ) -> None:
        super().__init__()
        names = list(steps)
        by_level = {stage.level: stage.name for stage in stages}
        self.taps = tuple(by_level.get(tap, tap) for tap in taps) if taps else (names[-1],)
        for tap, asked in zip(self.taps, taps or self.taps, strict=True):
            if tap not in steps:
                offered = ", ".join(f"{stage.level} ({stage.name}, stride {stage.stride})" for stage in stages if stage.level)
                raise UsageError(f"this backbone has no {asked}; it offers {offered}")
        self._names = names[: max(map(names.index, self.taps)) + 1]
        for name in self._names:
            self.add_module(name, steps[name])
        self.stages = tuple(stage for stage in stages if stage.name in self._names)
        self.norm: Norm = norm

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the tapped maps, in the order of `taps`, for images [B, 3, H, W]."""
        tapped: dict[str, Tensor] = {}
        x = images
        for name in self._names:
            x = self.get_submodule(name)(x)
            if name in self.taps:
                tapped[name] = x
        return [tapped[tap] for tap in self.taps]

    @property
    def tapped(self) -> tuple[Stage, ...]:
        """The stages that are tapped, in the order of `taps`; a tap that ends no stage is not among them."""
        by_name = {stage.name: stage for stage in self.stages}
        return tuple(by_name[tap] for tap in self.taps if tap in by_name)


class Classifier(nn.Module):
    """A backbone, global average pooling and a last layer: images [B, 3, H, W] to logits [B, classes].

    `form` says whether the last layer is `linear` or a 1x1 convolution (`conv`). A backbone that ends in vectors is not pooled.
    """

    boxes: int | None = None

    def __init__(self, backbone: Backbone, *, classes: int, form: str = "linear") -> None:
        super().__init__()
        self.backbone = backbone
        channels = backbone.stages[-1].channels
        self.last = nn.Linear(channels, classes) if form == "linear" else nn.Conv2d(channels, classes, 1)
        self.preparation = backbone.preparation

    def forward(self, images: Tensor) -> Tensor:
        (x,) = self.backbone(images)
        if x.ndim == 4:
            x = F.adaptive_avg_pool2d(x, 1)
        if isinstance(self.last, nn.Conv2d):
            return self.last(x.reshape(*x.shape[:2], 1, 1)).flatten(1)
        return self.last(x.flatten(1))


class Detector(nn.Module, ABC):
    """A network that finds objects: `forward` gives all that it computes, `postprocess` the final detections.

    `size` is the input as (width, height), `boxes` the number of default boxes of one image (None without any).
    """

    preparation: Preparation
    size: tuple[int, int]
    classes: int
    boxes: int | None

    @abstractmethod
    def forward(self, images: Tensor) -> Any:
        """Give the raw predictions, of fixed shapes, for images [B, 3, H, W]."""

    @abstractmethod
    def postprocess(self, raw: Any) -> list[Detections]:
        """Turn raw predictions into the detections of each image: decode, filter, non-maximum suppression."""

    @abstractmethod
    def synthesize(self, raw: Any, generator: torch.Generator) -> tuple[Any, dict[str, str | int]]:
        """Make raw predictions shaped like `raw` that hold `ops.load`'s synthetic scene instead, and what it holds.

        Random weights give no meaningful scores, so the time of `postprocess` is taken on these. What the load holds: its
        distribution's name, and an image's candidates before and above the threshold.
        """

    def prepare(self, picture: Tensor) -> Prepared:
        """Do what the paper does to a picture, uint8 [3, H, W] in RGB."""
        return self.preparation(picture, self.size)
