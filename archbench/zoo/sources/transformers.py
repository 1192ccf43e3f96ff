"""Networks of transformers, by class, with its default configuration or that of a folder.

No weights are loaded, and nothing is asked of a hub; a backbone that would come with weights comes
without.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from archbench.spec import UsageError
from archbench.tracebacks import first_line
from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.sources.building import Maps
from archbench.zoo.sources.library import drawn, facts, importable, load

__all__ = ["facts", "importable", "listing", "make"]

BACKBONE = "Backbone"
KINDS = {
    "ForObjectDetection": "detector",
    "ForImageClassification": "classifier",
    BACKBONE: "backbone",
}
"""What networks are that have a name's ending."""
IMAGES = "pixel_values"


def make(entry: Entry, arguments: dict[str, Any]) -> nn.Module:
    """Make a network, or a backbone where `taps` are among the arguments.

    `classes` are its labels; `size` is the input's width and height, at which maps are found; all
    else is the configuration's own. Raises UsageError for what is not made.
    """
    options = drawn(arguments)
    size, taps, classes = (options.pop(key, None) for key in ("size", "taps", "classes"))
    if classes is not None:
        options["num_labels"] = classes
    try:
        kind, config = _found(entry.builder, options)
        if taps is not None:
            _give_all_maps(config, kind.__name__)
        network = kind(config)
    except UsageError:
        raise
    except Exception as error:  # Classes raise anything for what a configuration may say.
        raise UsageError(first_line(error) or f"it raises {type(error).__name__}") from error
    return Pixels(network) if taps is None else Maps(FeatureMaps(network), size, taps)


def listing() -> dict[str, dict[str, dict[str, str]]]:
    """Say what transformers offers: the kind of each network, and its input where the default
    configuration of a detector has one.
    """
    transformers = load("transformers")
    networks = {}
    for name in dir(transformers):
        kind = next((kind for ending, kind in KINDS.items() if name.endswith(ending)), "")
        if not kind or name.startswith("Auto"):
            continue
        made = getattr(transformers, name) if kind == "detector" else None
        if made is None or _reads_images_alone(made):
            networks[name] = {"input": _input(made) if made else "", "kind": kind}
    return {"networks": networks, "variants": {}}


class Pixels(nn.Module):
    """A network that takes images by name."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        """Give whatever it gives for images [B, 3, H, W]."""
        return self.network(**{IMAGES: images})


class FeatureMaps(Pixels):
    """A backbone's maps."""

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give its maps for images [B, 3, H, W], finest first."""
        return list(super().forward(images).feature_maps)


def _found(name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """Find a class and make its configuration: by its name, or by that in a folder's
    configuration.
    """
    transformers = load("transformers")
    if Path(name).is_absolute():
        config = transformers.AutoConfig.from_pretrained(
            name, local_files_only=True, trust_remote_code=False
        )
        kind = _class(next(iter(config.architectures or ()), ""))
    else:
        kind = _class(name)
        config = kind.config_class()
    for option, value in options.items():
        if not hasattr(config, option):
            raise UsageError(f"{type(config).__name__} takes no option {option}")
        setattr(config, option, value)
    _leave_weights(config)
    return kind, config


def _class(name: str) -> Any:
    """The class of a network that reads images; raises UsageError for all else."""
    if not name:
        raise UsageError("its configuration names no class (architectures)")
    transformers = load("transformers")
    kind: Any = getattr(transformers, name, None)
    is_network = isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)
    if not is_network:
        raise UsageError(f"transformers {transformers.__version__} has no network {name!r}")
    if kind.main_input_name != IMAGES:
        raise UsageError(f"{name} reads {kind.main_input_name}, not images ({IMAGES})")
    if not kind.config_class:
        raise UsageError(f"{name} has no configuration of its own: name a concrete class")
    return kind


def _leave_weights(config: Any) -> None:
    """Have a configuration, and those within it, ask for no weights."""
    for name, value in list(vars(config).items()):
        if name == "use_pretrained_backbone":
            config.use_pretrained_backbone = False
        elif isinstance(value, load("transformers").PreTrainedConfig):
            _leave_weights(value)


def _give_all_maps(config: Any, name: str) -> None:
    """Have a backbone give the map of every stage."""
    # Not by the configuration: many classifiers have that of a backbone, out_features included.
    if not name.endswith(BACKBONE):
        raise UsageError(
            f"{name} runs as a whole: for a detector, use one of the classes named ...{BACKBONE}"
        )
    if not hasattr(config, "out_features"):
        raise UsageError(f"{name} cannot be told which maps to give: it has no out_features")
    config.out_features = list(config.stage_names)


def _reads_images_alone(kind: Any) -> bool:
    taken = inspect.signature(kind.forward).parameters.values()
    needed = {p.name for p in taken if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
    return needed <= {"self", IMAGES}


def _input(kind: Any) -> str:
    """The input that a class's default configuration names as width and height."""
    size = getattr(kind.config_class(), "image_size", None)
    if isinstance(size, int):
        return f"{size}x{size}"
    return f"{size[1]}x{size[0]}" if size else ""
