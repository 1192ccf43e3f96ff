"""The libraries themselves, where they are installed: maps as they give them, figures as they
publish them, and nothing asked of the network.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision_operators import torchvision_or_skip

import archbench
from archbench.zoo.contracts import Backbone
from archbench.zoo.sources import listing

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
CHAINS = ["resnet18", "mobilenetv3_small_050", "efficientnet_b0", "convnext_atto", "dla34"]
CHAINS += ["swin_tiny_patch4_window7_224", "hrnet_w18_small", "mambaout_femto", "pvt_v2_b0"]
PUBLISHED_OPS = {
    "retinanet_resnet50_fpn": 151.54,
    "retinanet_resnet50_fpn_v2": 152.238,
    "fcos_resnet50_fpn": 128.207,
    "ssd300_vgg16": 34.858,
    "ssdlite320_mobilenet_v3_large": 0.583,
    "fasterrcnn_resnet50_fpn": 134.38,
}
"""G, of the metadata of torchvision's weights."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whatever opens a connection."""
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it asks the network"))


@pytest.fixture
def timm() -> Any:
    """timm, or the test is skipped."""
    torchvision_or_skip()
    return pytest.importorskip("timm")


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask libraries for their lists in this process, which has stand-ins for operators."""

    def asked(library: Any) -> dict[str, Any]:
        from importlib import import_module

        return import_module(f"archbench.zoo.sources.{library.name}").listing()  # type: ignore[no-any-return]

    listing.listing_of.cache_clear()
    monkeypatch.setattr(listing, "_asked", asked)
    monkeypatch.setattr(listing.cache, "read", lambda *_: None)
    monkeypatch.setattr(listing.cache, "write", lambda *_: None)


@pytest.mark.parametrize("name", CHAINS)
def test_maps_are_those_that_timm_gives(name: str, timm: Any, listed: None) -> None:
    built = archbench.build(f"timm:{name}", "retinanet", size=128)
    (backbone,) = (module for module in built.modules() if isinstance(module, Backbone))
    options = {"img_size": (128, 128)} if "swin" in name else {}
    theirs = timm.create_model(name, features_only=True, **options).eval()
    state = {key.removeprefix("network.network."): v for key, v in backbone.state_dict().items()}
    wanted = {key.replace(".step.", "."): value for key, value in state.items()}
    if "efficientnet" in name or "mobilenetv3" in name:
        wanted = {key.replace("blocks_", "blocks."): value for key, value in wanted.items()}
    _, unexpected = theirs.load_state_dict(wanted, strict=False)
    assert not unexpected
    images = torch.randn(1, 3, 128, 128)
    with torch.inference_mode():
        maps = backbone(images)
        known = {tuple(each.shape): each for each in _channels_first(theirs, images)}
    for given in maps:
        assert torch.allclose(given, known[tuple(given.shape)], atol=1e-4)


def _channels_first(theirs: Any, images: torch.Tensor) -> list[torch.Tensor]:
    maps = theirs(images)
    is_last = str(getattr(theirs, "output_fmt", "")).endswith("NHWC")
    return [each.permute(0, 3, 1, 2) for each in maps] if is_last else maps


def test_a_plain_transformer_is_counted_to_its_last_block(timm: Any, listed: None) -> None:
    built = archbench.build(
        "timm:vit_tiny_patch16_224", "retinanet", size=224, device="meta", pyramid="simple"
    )
    (backbone,) = (module for module in built.modules() if isinstance(module, Backbone))
    whole = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    ours = sum(p.numel() for name, p in backbone.named_parameters() if "features." in name)
    assert ours == sum(p.numel() for name, p in whole.named_parameters() if name[:5] != "norm.")


@pytest.mark.parametrize(("name", "ops"), PUBLISHED_OPS.items())
def test_torchvision_s_detectors_cost_what_it_publishes(
    name: str, ops: float, listed: None
) -> None:
    torchvision_or_skip()
    report = archbench.cost(f"torchvision:{name}")
    assert report.macs / 1e9 == pytest.approx(ops, rel=0.01)


HEADS = {
    # The operations of a box head for one proposal, and of another head for one detection.
    "fasterrcnn_mobilenet_v3_large_fpn": (12544 * 1024 + 1024 * 1024 + 1024 * 5 * 91, 0),
    "fasterrcnn_mobilenet_v3_large_320_fpn": (12544 * 1024 + 1024 * 1024 + 1024 * 5 * 91, 0),
    "maskrcnn_resnet50_fpn_v2": (
        4 * 256 * 7**2 * 9 * 256 + 256 * 7**2 * 1024 + 1024 * 5 * 91,
        4 * 256 * 256 * 9 * 14**2 + 256 * 256 * 4 * 14**2 + 256 * 91 * 28**2,
    ),
    "keypointrcnn_resnet50_fpn": (
        12544 * 1024 + 1024 * 1024 + 1024 * 5 * 2,
        (256 + 7 * 512) * 512 * 9 * 14**2 + 512 * 17 * 16 * 14**2,
    ),
}
ON_OTHERS = {
    "fasterrcnn_mobilenet_v3_large_fpn": (4.494, 0, 0),
    "fasterrcnn_mobilenet_v3_large_320_fpn": (0.719, 0, 0),
    "maskrcnn_resnet50_fpn_v2": (333.577, 1000, 100),
    "keypointrcnn_resnet50_fpn": (137.42, 1000, 1),
}
"""What torchvision publishes, G, with the proposals and detections that it was counted on."""


@pytest.mark.parametrize("name", ON_OTHERS)
def test_other_figures_that_torchvision_publishes_are_of_other_proposals(
    name: str, listed: None
) -> None:
    torchvision_or_skip()
    report = archbench.cost(f"torchvision:{name}")
    on = {call.path.split(".")[2]: call.in_shape[0] for call in report.calls if "roi_" in call.path}
    last = [count for head, count in on.items() if head.startswith(("mask", "keypoint"))]
    for_box, for_detection = HEADS[name]
    shared = report.macs - on["box_head"] * for_box - (last or [0])[-1] * for_detection
    ops, proposals, detections = ON_OTHERS[name]
    theirs = shared + proposals * for_box + detections * for_detection
    assert theirs / 1e9 == pytest.approx(ops, abs=0.002)


RF_DETR = {
    "nano": (384, 2, 30.5, 31.9),
    "small": (512, 3, 32.1, 59.8),
    "medium": (576, 4, 33.7, 78.8),
}
"""Input, layers of the decoder, parameters (M) and GFLOPs, of RF-DETR's own table."""


@pytest.mark.parametrize(("size", "layers", "params", "gflops"), RF_DETR.values(), ids=RF_DETR)
def test_rf_detr_costs_what_is_published(
    size: int, layers: int, params: float, gflops: float, tmp_path: Path, listed: None
) -> None:
    """Of a folder with the configuration of each."""
    torchvision_or_skip()
    pytest.importorskip("transformers")
    backbone = {
        "model_type": "rf_detr_dinov2",
        "hidden_size": 384,
        "num_attention_heads": 6,
        "image_size": size,
        "patch_size": 16,
        "num_windows": 2,
        "out_features": ["stage3", "stage6", "stage9", "stage12"],
    }
    said = {
        "architectures": ["RfDetrForObjectDetection"],
        "model_type": "rf_detr",
        "decoder_layers": layers,
        "decoder_n_points": 2,
        "num_labels": 91,
        "image_size": size,
        "backbone_config": backbone,
    }
    (tmp_path / "config.json").write_text(json.dumps(said))
    report = archbench.cost(f"transformers:{tmp_path}")
    assert report.params / 1e6 == pytest.approx(params, abs=0.05)
    assert 2 * report.macs_all / 1e9 == pytest.approx(gflops, rel=0.01)


def test_detr_costs_what_its_paper_says_of_pictures_of_several_sizes(listed: None) -> None:
    """86 G is the mean over a hundred pictures, most of them 4:3 or 3:2, whose shorter side is
    800.
    """
    torchvision_or_skip()
    pytest.importorskip("transformers")
    four_thirds, three_halves = (
        archbench.cost("transformers:DetrForObjectDetection", size=size).macs_all / 1e9
        for size in ("1066x800", "1200x800")
    )
    assert 80 < four_thirds < 86 < three_halves < 92


YOLO = """
from ultralytics.nn.tasks import DetectionModel
def network(name: str):
    return DetectionModel(f"{name}.yaml", verbose=False).eval().fuse(verbose=False)
"""


@pytest.mark.parametrize(("name", "gflops"), [("yolo11n", 6.5), ("yolo12n", 6.5)])
def test_yolo_costs_what_is_published_once_it_is_fused(
    name: str, gflops: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a file of a user's own. What is published leaves out the products of attention."""
    torchvision_or_skip()
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    pytest.importorskip("ultralytics")
    (tmp_path / "yolo.py").write_text(YOLO)
    report = archbench.cost(f"{tmp_path}/yolo.py:network", size=640, name=name)
    assert 2 * report.macs / 1e9 == pytest.approx(gflops, rel=0.01)


CHAINS_OF_TORCHVISION = ["resnet18", "vgg11_bn", "alexnet", "squeezenet1_1", "densenet121"]
CHAINS_OF_TORCHVISION += ["mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "googlenet"]
CHAINS_OF_TORCHVISION += ["inception_v3", "shufflenet_v2_x0_5", "regnet_y_400mf", "swin_t"]
CHAINS_OF_TORCHVISION += ["efficientnet_b0", "convnext_tiny", "swin_v2_t", "maxvit_t"]


@pytest.mark.parametrize("name", CHAINS_OF_TORCHVISION)
def test_torchvision_s_classifiers_run_as_chains(name: str) -> None:
    """Each step gives in the chain what it gives where the network runs."""
    models = torchvision_or_skip().models
    from archbench.zoo.sources.torchvision.maps import steps_of

    network = models.get_model(name, weights=None).eval()
    steps = steps_of(network)
    given: list[torch.Tensor] = []
    for step in steps.values():
        getattr(step, "step", step).register_forward_hook(
            lambda *call: given.append(call[2].clone())
        )
    side = 224 if name in ("maxvit_t", "inception_v3") else 96
    images = torch.randn(1, 3, side, side)
    with torch.inference_mode():
        network(images)
        theirs = list(given)
        given.clear()
        x = images
        for step in steps.values():
            x = step(x)
    assert len(given) == len(theirs) == len(steps) > 4
    assert all(map(torch.equal, given, theirs))


def test_rt_detr_costs_what_its_paper_says_of_convolutions_and_linear_layers(listed: None) -> None:
    torchvision_or_skip()
    pytest.importorskip("transformers")
    report = archbench.cost("transformers:RTDetrForObjectDetection", size=640, classes=80)
    assert 2 * report.macs / 1e9 == pytest.approx(136, rel=0.01)
    products = 2 * (report.macs_all - report.macs) / 1e9
    assert products == pytest.approx(0.6, abs=0.2)  # The products of attention, left out.
