"""The libraries themselves, where they are installed: maps as they give them, figures as they
publish them, and nothing asked of the network.
"""

from __future__ import annotations

import socket
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


@pytest.mark.parametrize(
    ("name", "size", "gflops"),
    [("RTDetrForObjectDetection", 640, 136)],
)
def test_transformers_detectors_cost_what_their_papers_say(
    name: str, size: int, gflops: float, listed: None
) -> None:
    torchvision_or_skip()
    pytest.importorskip("transformers")
    report = archbench.cost(f"transformers:{name}", size=size, classes=80)
    assert 2 * report.macs_all / 1e9 == pytest.approx(gflops, rel=0.015)
