"""What a network must offer: `Backbone`, `Classifier`, `Detector` and what passes between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
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
    """One feature map that a backbone offers: its step's name, its channels, and how many input
    pixels a cell spans.

    Vectors, such as what VGG's linear layers give, have stride 0 and no level.
    """

    name: str
    channels: int
    stride: int

    @property
    def level(self) -> str:
        """The map's place in a pyramid: c3 at stride 8, c5 at stride 32."""
        return f"c{self.stride.bit_length() - 1}" if self.stride else ""


Resize = Literal["warp", "fit", "crop"]


@dataclass(frozen=True)
class Preparation:
    """What a paper does to a picture before its network sees it.

    The picture is scaled to [0, `scale`], the mean subtracted, the result divided by `std`, per
    channel in `order`. Then it is resized to the input: "warp" does not keep its aspect; "fit" does
    and pads with zeros on the right and below; "crop" does and cuts the excess, half on either
    side.
    """

    order: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    resize: Resize = "warp"

    def __call__(self, picture: Tensor, size: tuple[int, int]) -> Prepared:
        """Turn a picture, uint8 [3, H, W] in RGB, into an input of `size` (width, height)."""
        if picture.dtype != torch.uint8 or picture.ndim != 3 or picture.shape[0] != 3:
            raise UsageError(
                f"invalid picture {picture.dtype} {list(picture.shape)} (torch.uint8 [3, H, W])"
            )
        image = picture.float() * (self.scale / 255)
        image = image.flip(0) if self.order == "bgr" else image
        mean, std = (image.new_tensor(values).reshape(3, 1, 1) for values in (self.mean, self.std))
        sides = picture.shape[2], picture.shape[1]
        if self.resize == "warp":
            resized = size
        else:
            choose = min if self.resize == "fit" else max
            factor = choose(side / own for side, own in zip(size, sides, strict=True))
            resized = max(1, round(sides[0] * factor)), max(1, round(sides[1] * factor))
        # Without antialiasing, as the frameworks resize that these networks come from.
        image = F.interpolate(
            ((image - mean) / std)[None], resized[::-1], mode="bilinear", align_corners=False
        )[0]
        left, top = (max(0, side - wanted) // 2 for side, wanted in zip(resized, size, strict=True))
        image = image[:, top : top + size[1], left : left + size[0]]
        image = F.pad(image, (0, size[0] - image.shape[2], 0, size[1] - image.shape[1]))
        return Prepared(
            image,
            scale=(sides[0] / resized[0], sides[1] / resized[1]),
            offset=(left, top),
            picture=sides,
        )


DARKNET = Preparation(mean=(0,) * 3, std=(1,) * 3)
"""What darknet does to pictures: pixels from 0 to 1."""


@dataclass(frozen=True)
class Prepared:
    """An input [3, H, W] and what brings its pixels back to the picture's: (pixel + `offset`) *
    `scale`, each as (x, y).

    `picture` is the picture's width and height.
    """

    image: Tensor
    scale: tuple[float, float]
    offset: tuple[int, int]
    picture: tuple[int, int]


@dataclass(frozen=True)
class Detections:
    """The objects of one image, best first: boxes [N, 4] as x1, y1, x2, y2 in pixels, scores [N],
    labels [N] from 0.

    Detectors that segment give masks too: booleans [N, H, W], one for each pixel of the image.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def on_picture(self, prepared: Prepared) -> Detections:
        """The same detections in the pixels of the picture that was prepared."""
        width, height = prepared.picture
        boxes = (self.boxes + self.boxes.new_tensor(prepared.offset * 2)) * self.boxes.new_tensor(
            prepared.scale * 2
        )
        boxes = boxes.minimum(boxes.new_tensor([width, height, width, height])).clamp(min=0)
        masks = self.masks
        if masks is not None:
            rows = _nearest(height, prepared.scale[1], prepared.offset[1]).to(masks.device)
            columns = _nearest(width, prepared.scale[0], prepared.offset[0]).to(masks.device)
            inside = (
                ((rows >= 0) & (rows < masks.shape[1]))[:, None]
                & (columns >= 0)
                & (columns < masks.shape[2])
            )
            masks = (
                masks[:, rows.clamp(0, masks.shape[1] - 1)][
                    :, :, columns.clamp(0, masks.shape[2] - 1)
                ]
                & inside
            )
        return Detections(boxes, self.scores, self.labels, masks)


def _nearest(pixels: int, scale: float, offset: int) -> Tensor:
    """The input's row or column under the centre of each of a picture's."""
    return ((torch.arange(pixels) + 0.5) / scale - offset).floor().long()


@dataclass(frozen=True)
class Head:
    """What a classifier has between its pool and its last layer, such as MobileNetV3's 1x1 of 1280.

    `layers` turn the pooled map [B, C, 1, 1] into [B, `channels`, 1, 1] or [B, `channels`].
    """

    layers: nn.Module
    channels: int


@dataclass(frozen=True)
class Split:
    """A backbone cut for a two-stage detector: `trunk` gives the map that regions are cropped from,
    `tail` runs on the crops.
    """

    trunk: Backbone
    tail: nn.Sequential
    channels: int
    """Channels of what the tail gives."""
    vectors: bool
    """Whether the tail gives vectors [N, C] rather than maps: it has linear layers and reads crops
    of one size.
    """


class Backbone(nn.Module):
    """A chain of named steps that gives the maps after some of them.

    `steps` maps each step's name to its module, in order. `stages` say which steps end a stage,
    `inner` which others some paper taps. `taps` say what `forward` gives: levels (c3: the deepest
    stage at stride 8) or names of steps; None gives the last map. No step is kept past the last
    tap. `norm` is the backbone's kind of normalisation, which necks and heads follow.

    `tail` names the step with which the second stage of a two-stage detector begins, where that is
    not the first past the last halving: where dilation replaces a stride, or region pooling a pool.
    `head` has the layers that only a classifier has, behind its pool.
    """

    preparation = Preparation()
    pools_scores = False
    """Whether a classifier's 1x1 convolution comes before the global pool, as in some darknet
    files, rather than after.
    """

    def __init__(
        self,
        steps: Mapping[str, nn.Module],
        stages: Sequence[Stage],
        *,
        taps: Sequence[str] | None = None,
        norm: Norm = "bn",
        inner: Sequence[Stage] = (),
        tail: str | None = None,
        head: Head | None = None,
    ) -> None:
        super().__init__()
        names = list(steps)
        by_level = {stage.level: stage.name for stage in stages}
        self.taps = tuple(by_level.get(tap, tap) for tap in taps) if taps else (names[-1],)
        for tap, asked in zip(self.taps, taps or self.taps, strict=True):
            if tap not in steps:
                offered = ", ".join(
                    f"{stage.level} ({stage.name}, stride {stage.stride})"
                    for stage in stages
                    if stage.level
                )
                raise UsageError(f"this backbone has no {asked}; it offers {offered}")
        self._names = names[: max(map(names.index, self.taps)) + 1]
        for name in self._names:
            self.add_module(name, steps[name])
        self.stages = tuple(stage for stage in stages if stage.name in self._names)
        self.norm: Norm = norm
        self._inner = tuple(stage for stage in inner if stage.name in self._names)
        self._tail = tail
        # In a dataclass it is no module of the backbone: detectors and the trunk alone have none of
        # its weights.
        self.classifier_head = head

    def forward(self, images: Tensor, *, taps: Sequence[str] | None = None) -> list[Tensor]:
        """Give the tapped maps, in the order of `taps`, for images [B, 3, H, W]; with `taps` only
        these of them.
        """
        wanted = self.taps if taps is None else taps
        tapped: dict[str, Tensor] = {}
        x = images
        for name in self._names:
            x = self.get_submodule(name)(x)
            if name in wanted:
                tapped[name] = x
        return [tapped[tap] for tap in wanted]

    def tapping(self, taps: Sequence[str]) -> Backbone:
        """The same chain with other taps, of which this one must keep every step."""
        if type(self).forward is not Backbone.forward:
            raise UsageError(f"{type(self).__name__} has no maps but those it was built with")
        other = Backbone(
            {name: self.get_submodule(name) for name in self._names},
            self.stages,
            taps=taps,
            norm=self.norm,
            inner=self._inner,
            tail=self._tail,
            head=self.classifier_head,
        )
        other.preparation = self.preparation
        return other

    @property
    def tapped(self) -> tuple[Stage, ...]:
        """The tapped stages and inner points, in the order of `taps`; other steps are left
        out.
        """
        by_name = {stage.name: stage for stage in (*self._inner, *self.stages)}
        return tuple(by_name[tap] for tap in self.taps if tap in by_name)

    def split(self, *, dilated: bool = False) -> Split:
        """Cut before the second stage of a two-stage detector, which runs on crops: the stages past
        the last halving, or those from `tail` on.

        The first stage ends with the deepest map before it. The second loses the dilation that
        replaced a stride, unless it is to be `dilated`. Raises UsageError where nothing is halved.
        """
        last = self.stages[-1]
        before = self._before_tail()
        if not before:
            raise UsageError(
                "a two-stage detector needs a backbone with maps of at least two sizes"
            )
        cut = self._names.index(before[-1].name) + 1
        steps = {name: self.get_submodule(name) for name in self._names}
        start = self._names.index(self._tail) if self._tail else cut
        trunk = Backbone({name: steps[name] for name in self._names[:cut]}, before, norm=self.norm)
        trunk.preparation = self.preparation
        tail = nn.Sequential(OrderedDict((name, steps[name]) for name in self._names[start:]))
        if not dilated:
            _undilate(tail)
        return Split(trunk, tail, last.channels, vectors=last.stride == 0)

    def _before_tail(self) -> tuple[Stage, ...]:
        """The stages before the second stage of a two-stage detector."""
        if self._tail:
            start = self._names.index(self._tail)
            return tuple(s for s in self.stages if self._names.index(s.name) < start)
        stages = list(self.stages)
        while stages and stages[-1].stride == self.stages[-1].stride:
            stages.pop()
        return tuple(stages)


def _undilate(network: nn.Module) -> None:
    # Huang et al. run block4 on 7x7 crops at stride 1 and without dilation.
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and max(layer.dilation) > 1:
            assert not isinstance(layer.padding, str)
            layer.padding = tuple(
                p // d for p, d in zip(layer.padding, layer.dilation, strict=True)
            )
            layer.dilation = (1, 1)


class Classifier(nn.Module):
    """A backbone, global average pooling, its head if it has one, and a last layer: images [B, 3,
    H, W] to logits [B, classes].

    `form` says whether the last layer is `linear` or a 1x1 convolution (`conv`). A backbone that
    ends in vectors is not pooled.
    """

    boxes: int | None = None

    def __init__(self, backbone: Backbone, *, classes: int, form: str = "linear") -> None:
        super().__init__()
        self.backbone = backbone
        head = backbone.classifier_head
        self.head = head.layers if head else nn.Identity()
        channels = head.channels if head else backbone.stages[-1].channels
        self.last = (
            nn.Linear(channels, classes) if form == "linear" else nn.Conv2d(channels, classes, 1)
        )
        self.preparation = backbone.preparation

    def forward(self, images: Tensor) -> Tensor:
        (x,) = self.backbone(images)
        if x.ndim == 4 and isinstance(self.last, nn.Conv2d) and self.backbone.pools_scores:
            return F.adaptive_avg_pool2d(self.last(x), 1).flatten(1)
        if x.ndim == 4:
            x = F.adaptive_avg_pool2d(x, 1)
        x = self.head(x)
        if isinstance(self.last, nn.Conv2d):
            return self.last(x.reshape(*x.shape[:2], 1, 1)).flatten(1)
        return self.last(x.flatten(1))


class Detector(nn.Module, ABC):
    """A network that finds objects: `forward` gives all that it computes, `postprocess` the final
    detections.

    `size` is the input as (width, height), `boxes` the number of default boxes of one image (None
    without any).
    """

    preparation: Preparation
    size: tuple[int, int]
    classes: int
    boxes: int | None
    reads_regions: bool = False
    """Whether it crops regions out of maps, by operators without a gradient."""

    @abstractmethod
    def forward(self, images: Tensor) -> Any:
        """Give the raw predictions, of fixed shapes, for images [B, 3, H, W]."""

    @abstractmethod
    def postprocess(self, raw: Any) -> list[Detections]:
        """Turn raw predictions into the detections of each image: decode, filter, suppress."""

    def considered(self, raw: Any, score: float) -> list[Detections]:
        """Give what `postprocess` chooses each image's detections among, before it suppresses and
        limits, as far as it scores more than `score`.

        By default only what it chooses is known.
        """
        return self.postprocess(raw)

    @abstractmethod
    def synthesize(self, raw: Any, generator: torch.Generator) -> tuple[Any, dict[str, str | int]]:
        """Make raw predictions shaped like `raw` that hold `ops.load`'s synthetic scene, and
        describe them.

        Random weights give no meaningful scores, so the time of `postprocess` is taken on these.
        The description: the distribution's name, and an image's candidates before and above the
        threshold.
        """

    def prepare(self, picture: Tensor) -> Prepared:
        """Do what the paper does to a picture, uint8 [3, H, W] in RGB."""
        return self.preparation(picture, self.size)
