"""SSD on ResNets, DSSD, and SSD as Liu et al. have it on ResNets: maps, boxes, decoder,
postprocessing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import archbench
from archbench.shapes import map_sizes
from archbench.spec import UsageError
from archbench.zoo.contracts import Detections
from archbench.zoo.detectors import dssd
from archbench.zoo.detectors.base.single_stage import Head, Predictions, SingleStage
from archbench.zoo.detectors.dssd import DSSD, Decoder, Deconvolution, FuSSD, LiuSSD, ResNetSSD
from archbench.zoo.ops.boxes import iou, to_centres
from archbench.zoo.ops.load import objects

TYPES = {"ssd": ResNetSSD, "dssd": DSSD, "ssd-liu": LiuSSD}


@cache
def network(
    detector: str, size: int | tuple[int, int], classes: int = 4, device: str = "cpu"
) -> SingleStage:
    torch.manual_seed(0)
    built = archbench.build("resnet18", detector, size=size, classes=classes, device=device)
    assert isinstance(built, TYPES[detector])
    return built


@cache
def outline(detector: str, size: int | tuple[int, int]) -> SingleStage:
    """A network on the CPU without initial weights: they take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Conv2d, "reset_parameters", lambda _: None)
        patch.setattr(nn.ConvTranspose2d, "reset_parameters", lambda _: None)
        return network(detector, size)


@cache
def narrow(detector: str, size: tuple[int, int]) -> SingleStage:
    """A network of the same layers with a sixteenth of the channels: the published ones are
    slow.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("EXTRA", "WIDTH", "DECODER"):
            patch.setattr(dssd, name, getattr(dssd, name) // 16)
        small = {
            layers: replace(table, modules=(dssd.WIDTH,) * len(table.modules))
            for layers, table in dssd.LAYERS.items()
        }
        patch.setattr(dssd, "LAYERS", small)
        return network(detector, size)


def picture(seed: int = 0) -> Tensor:
    return torch.randint(
        256, (3, 240, 427), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize(
    ("detector", "size", "sides", "boxes"),
    [
        ("ssd", 321, [40, 20, 10, 5, 3, 1], 17080),
        ("ssd", 320, [40, 20, 10, 5, 3, 1], 17080),
        ("ssd", 513, [64, 32, 16, 8, 4, 2, 1], 43688),
        ("dssd", 321, [40, 20, 10, 5, 3, 1], 17080),
        ("dssd", 513, [64, 32, 16, 8, 4, 2, 1], 43688),
        ("ssd-liu", 300, [38, 19, 10, 5, 3, 1], 7308),
    ],
)
def test_maps_have_the_published_sides(
    detector: str, size: int, sides: list[int], boxes: int
) -> None:
    built = network(detector, size, device="meta")
    assert map_sizes(built.features, (size, size)) == [(side, side) for side in sides]
    assert built.boxes == boxes


@pytest.mark.parametrize(
    ("detector", "size"), [("ssd", 321), ("ssd", 513), ("dssd", 321), ("dssd", 513)]
)
def test_heads_are_as_published(detector: str, size: int) -> None:
    """SSD513 alone has modules of several widths, DSSD513 alone a convolution before each output:
    with any number of classes.
    """
    built = network(detector, size, 20, device="meta")
    heads = [head for head in built.heads if isinstance(head, Head)]
    layers = [
        head.offsets[-1] if isinstance(head.offsets, nn.Sequential) else head.offsets
        for head in heads
    ]
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [layer.kernel_size for layer in convolutions] == [(5, 5)] * 2 + [(3, 3)] * (
        len(heads) - 2
    )
    widths = {
        ("ssd", 513): [512, 2048, 1024, 1024, 1024, 1024, 1024],
        ("dssd", 513): [512] * 7,
    }.get((detector, size), [1024] * 6)
    assert [layer.in_channels for layer in convolutions] == widths


def test_boxes_at_321_stand_and_measure_as_published() -> None:
    """Sides are 10 % and then 20 % by 18 % of the input, ratios 1.6, 2 and 3; cells span 8 pixels
    on the first map, 64 on the fifth.
    """
    centre, sides = to_centres(outline("ssd", 321).priors.boxes).split(2, dim=1)
    second = (32.1 * 64.2) ** 0.5
    stretched = [
        [32.1 * r**0.5, 32.1 / r**0.5] for ratio in (1.6, 2, 3) for r in (ratio, 1 / ratio)
    ]
    torch.testing.assert_close(
        sides[:8], torch.tensor([[32.1, 32.1], [second, second], *stretched])
    )
    torch.testing.assert_close(
        centre[[0, 8, 320, 8 * 1600]], torch.tensor([[4.0, 4], [12, 4], [4, 12], [8, 8]])
    )
    fifth = [[x, y] for y in (32.0, 96.0, 160.0) for x in (32.0, 96.0, 160.0)]
    torch.testing.assert_close(centre[8 * 2125 :: 8], torch.tensor([*fifth, [160.5, 160.5]]))
    torch.testing.assert_close(sides[-8], torch.tensor([295.32, 295.32]))
    torch.testing.assert_close(sides[-7], torch.tensor([(295.32 * 353.1) ** 0.5] * 2))


def test_boxes_at_513_measure_as_published() -> None:
    boxes = to_centres(outline("dssd", 513).priors.boxes)
    starts = [8 * sum(side**2 for side in (64, 32, 16, 8, 4, 2)[:level]) for level in range(7)]
    smallest = [20.52, 51.3, 138.51, 225.72, 312.93, 400.14, 487.35]
    torch.testing.assert_close(boxes[starts, 2], torch.tensor(smallest))
    torch.testing.assert_close(boxes[-7, 2], torch.tensor((487.35 * 574.56) ** 0.5))
    torch.testing.assert_close(boxes[starts, 0], torch.tensor([4, 8, 16, 32, 64, 128, 256.5]))


def test_an_oblong_image_is_divided_evenly_and_measured_by_its_shorter_side() -> None:
    boxes = to_centres(outline("dssd", (640, 330)).priors.boxes)
    torch.testing.assert_close(boxes[0], torch.tensor([640 / 80 / 2, 330 / 41 / 2, 33, 33]))


def test_boxes_of_liu_s_are_three_and_then_six_and_end_at_the_border() -> None:
    built = outline("ssd-liu", 300)
    boxes = to_centres(built.priors.boxes)
    inner = boxes[3 * (19 * 38 + 19) :][:3, 2:]
    torch.testing.assert_close(
        inner, torch.tensor([[30, 30], [30 * 2**0.5, 30 / 2**0.5], [30 / 2**0.5, 30 * 2**0.5]])
    )
    second = boxes[3 * 38**2 + 6 * (9 * 19 + 9) :][:2, 2:]
    torch.testing.assert_close(second, torch.tensor([[60.0, 60], [(60 * 114) ** 0.5] * 2]))
    assert ((built.priors.boxes >= 0) & (built.priors.boxes <= 300)).all()


@pytest.mark.parametrize(
    ("above", "own"), [((1, 1), (2, 2)), ((2, 3), (5, 6)), ((3, 3), (5, 6)), ((4, 2), (8, 3))]
)
def test_a_deconvolution_meets_the_map_below(above: tuple[int, int], own: tuple[int, int]) -> None:
    """Of a doubled map a row or column is missing or too many where halving rounded."""
    torch.manual_seed(0)
    module = Deconvolution(6, 4, 2, 2, norm="bn").eval()
    coarse, fine = torch.randn(2, 6, *above), torch.randn(2, 4, *own)
    assert module.up.bias is not None
    bias = module.up.bias[:, None, None]
    with torch.inference_mode():
        out = module(coarse, fine)
        doubled = F.conv_transpose2d(coarse, module.up.weight, stride=2)
        rows, columns = (
            max(0, wanted - side) for wanted, side in zip(own, doubled.shape[-2:], strict=True)
        )
        # What is added has only its bias.
        grown = F.pad(doubled, (0, columns, 0, rows)) + bias
        expected = (module.above(grown[..., : own[0], : own[1]]) * module.own(fine)).relu()
    assert out.shape == (2, 512, *own)
    torch.testing.assert_close(out, expected)
    assert (out > 0).any()


@pytest.mark.parametrize("size", [(321, 321), (640, 330), (513, 513), (1000, 600), (550, 1023)])
def test_a_decoder_gives_a_map_for_each_of_its_encoder_s(size: tuple[int, int]) -> None:
    decoder = network("dssd", size, device="meta").features
    assert isinstance(decoder, Decoder)
    assert map_sizes(decoder, size) == map_sizes(decoder.encoder, size)


def check(found: Detections, size: tuple[int, int], classes: int) -> None:
    x1, y1, x2, y2 = found.boxes.unbind(dim=1)
    assert 0 < len(found) <= 200
    assert (
        (x1 >= 0) & (x1 <= x2) & (x2 <= size[0]) & (y1 >= 0) & (y1 <= y2) & (y2 <= size[1])
    ).all()
    assert ((found.scores > 0.01) & (found.scores <= 1)).all()
    assert ((found.labels >= 0) & (found.labels < classes)).all()


@pytest.mark.parametrize(
    ("detector", "size"), [("ssd", (336, 321)), ("dssd", (336, 321)), ("ssd-liu", (160, 120))]
)
def test_pictures_go_all_the_way_through_and_do_not_see_each_other(
    detector: str, size: tuple[int, int]
) -> None:
    built = narrow(detector, size)
    images = torch.stack([built.prepare(picture(seed)).image for seed in range(2)])
    with torch.inference_mode():
        both, alone = built(images), built(images[1:])
        assert (both.offsets.shape, both.logits.shape) == ((2, built.boxes, 4), (2, built.boxes, 5))
        for together, single in zip(both, alone, strict=True):
            assert together.isfinite().all()
            torch.testing.assert_close(together[1:], single, rtol=1e-3, atol=1e-4)
        for found in built.postprocess(both):
            check(found, size, 4)


@pytest.mark.parametrize(
    ("detector", "side", "classes"),
    [
        pytest.param("ssd", 321, 80, marks=pytest.mark.slow),
        pytest.param("dssd", 513, 80, marks=pytest.mark.slow),
        ("ssd-liu", 300, 20),
    ],
)
def test_a_picture_goes_all_the_way_through_at_the_default_size(
    detector: str, side: int, classes: int
) -> None:
    torch.manual_seed(0)
    built = archbench.build("resnet101-v1", detector)
    assert isinstance(built, TYPES[detector])
    prepared = built.prepare(picture())
    assert prepared.image.shape == (3, side, side)
    with torch.inference_mode():
        raw = built(prepared.image[None])
        (found,) = built.postprocess(raw)
    assert all(values.isfinite().all() for values in raw)
    check(found, (side, side), classes)


@pytest.mark.parametrize("detector", ["dssd", "ssd-liu"])
def test_the_synthetic_scene_is_found_where_it_is(detector: str) -> None:
    built = outline(detector, 321)
    shapes = (2, built.boxes or 0, 4), (2, built.boxes or 0, 5)
    raw = Predictions(*(torch.zeros(shape) for shape in shapes))
    made, holds = built.synthesize(raw, torch.Generator().manual_seed(0))
    found = built.postprocess(made)[0]
    seen = objects(size=(321, 321), classes=4, generator=torch.Generator().manual_seed(0))
    assert holds["candidates"] == (built.boxes or 0) * 4
    confident = found.scores > 0.5
    assert confident.sum() >= 5
    overlap = iou(found.boxes[confident], seen.boxes) * (
        found.labels[confident, None] == seen.labels
    )
    assert overlap.amax(dim=1).median() > 0.4


def test_parameters_do_not_depend_on_the_size() -> None:
    costs = [
        archbench.cost("resnet18", "dssd", size=size, layers=321) for size in (321, (640, 330), 513)
    ]
    assert len({cost.params for cost in costs}) == 1
    assert costs[0].macs < costs[1].macs < costs[2].macs


@pytest.mark.parametrize(
    ("detector", "options", "message"),
    [
        ("dssd", {"size": 300}, "300x300 does not fit the extra layers of 321$"),
        (
            "dssd",
            {"size": 400},
            "400x400 does not fit the extra layers of 513; layers=321 has fewer",
        ),
        ("dssd", {"output_stride": 8}, "strides 8 and 16"),
        ("ssd-liu", {"output_stride": 32}, "strides 8 and 16"),
        ("ssd-liu", {"layers": 321}, "only dssd"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    detector: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        archbench.cost("resnet18", detector, **options)


@pytest.mark.parametrize("backbone", ["mobilenet", "vgg16", "resnet18-gn"])
@pytest.mark.parametrize("detector", ["dssd", "ssd-liu"])
def test_other_backbones_have_its_maps(backbone: str, detector: str) -> None:
    built = archbench.build(backbone, detector, device="meta")
    assert isinstance(built, FuSSD | LiuSSD)
    norms = {type(layer) for layer in built.heads.modules()} | {
        type(layer) for layer in built.features.modules()
    }
    assert (nn.GroupNorm in norms) == backbone.endswith("gn")
