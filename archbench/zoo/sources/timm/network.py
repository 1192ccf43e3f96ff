"""A network as timm makes it, and what is found of it by its modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from archbench.zoo.contracts import Preparation, Stage
from archbench.zoo.sources.chains import turned
from archbench.zoo.sources.fitting import Size
from archbench.zoo.sources.library import load
from archbench.zoo.sources.timm.maps import is_channels_last

Options = dict[str, Any]


@dataclass(frozen=True)
class Network:
    """A network as it is asked of timm, and whether its branches are joined as it joins them."""

    name: str
    options: Options
    is_fused: bool = False

    @property
    def config(self) -> Any:
        """What timm says of it and its weights."""
        return load("timm").get_pretrained_cfg(self.name)

    @property
    def size(self) -> Size:
        """The input that it is published with, width and height."""
        _, height, width = self.config.input_size
        return width, height

    def preparation(self) -> Preparation:
        """What is done to pictures before it sees them."""
        return Preparation(mean=tuple(self.config.mean), std=tuple(self.config.std))

    def create(self, size: Size, **asked: Any) -> nn.Module:
        """Make it on torch's default device, for images of `size` where it is bound to one."""
        bound = {"img_size": size[::-1]} if self.config.fixed_input_size else {}
        options = bound | self.options | asked
        made = load("timm").create_model(self.name, pretrained=False, **options)
        return load("timm").utils.reparameterize_model(made.eval()) if self.is_fused else made

    def features(self, size: Size, indices: Sequence[int] | None = None) -> nn.Module:
        """Make what gives maps, those that timm gives unasked or those of some of its indices."""
        asked = {} if indices is None else {"out_indices": tuple(indices)}
        return self.create(size, features_only=True, **asked)


def stages_of(features: nn.Module) -> tuple[Stage, ...]:
    """The maps that timm says a network gives, by the names of the modules that end them."""
    info: Any = features.feature_info
    named = zip(info.module_name(), info.channels(), info.reduction(), strict=True)
    return tuple(Stage(_key(name), channels, int(stride)) for name, channels, stride in named)


def indices_of(features: nn.Module) -> tuple[int, ...]:
    """The indices by which timm knows the maps that a network gives."""
    info: Any = features.feature_info
    return tuple(index % len(info.info) for index in info.out_indices)


def _key(name: str) -> str:
    return name.replace(".", "_")


def chain_of(features: nn.Module) -> dict[str, nn.Module]:
    """The steps of a network, one run after another; none where it is no such chain."""
    if isinstance(features, load("timm").models.FeatureListNet):
        steps = dict(features.items())
    elif getattr(features, "feature_hooks", True) is None and hasattr(features, "conv_stem"):
        # The families of EfficientNet and MobileNetV3 and V4.
        stem = [name for name in ("conv_stem", "bn1", "act1") if hasattr(features, name)]
        steps = {name: getattr(features, name) for name in stem}
        steps |= {
            f"blocks_{place}": block
            for place, block in enumerate(features.get_submodule("blocks").children())
        }
    else:
        steps = {}
    return turned(steps) if is_channels_last(features) else steps
