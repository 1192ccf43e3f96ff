"""Networks of timm (huggingface/pytorch-image-models): classifiers, and their maps for detectors.

No weights are loaded, so that nothing is asked of a hub.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from archbench.spec import UsageError
from archbench.tracebacks import first_line
from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.contracts import Backbone
from archbench.zoo.sources.chains import norm_of
from archbench.zoo.sources.fitting import Size
from archbench.zoo.sources.library import drawn, facts, importable, load
from archbench.zoo.sources.timm.maps import (
    LEVELS,
    PLAIN_STRIDE,
    ChannelsFirst,
    SimplePyramid,
    TimmBackbone,
)
from archbench.zoo.sources.timm.network import Network, Options, chain_of
from archbench.zoo.sources.timm.probe import probed

__all__ = ["facts", "importable", "listing", "make"]


def make(entry: Entry, arguments: Options) -> nn.Module:
    """Make a classifier, or a backbone where `taps` are among the arguments.

    `size` is the input's width and height, `pyramid` "simple" or "none", `fused` whether branches
    are joined; all else is timm's own. Raises UsageError for what timm does not make and for an
    input that it does not take.
    """
    options = drawn(arguments)
    size, taps, classes = (options.pop(key, None) for key in ("size", "taps", "classes"))
    has_pyramid = options.pop("pyramid", "none") == "simple"
    if has_pyramid and taps is None:
        raise UsageError("a pyramid needs a detector")
    if classes is not None:
        options["num_classes"] = classes
    network = Network(entry.builder, options, bool(options.pop("fused", False)))
    try:
        if taps is None:
            return network.create(size)
        backbone = _on_pyramid(network, size, taps) if has_pyramid else _tapped(network, size, taps)
        backbone.preparation = network.preparation()
        return backbone
    except UsageError:
        raise
    except Exception as error:  # Networks of timm raise anything.
        raise UsageError(first_line(error) or f"timm raises {type(error).__name__}") from error


def listing() -> dict[str, dict[str, dict[str, str]]]:
    """Say what timm offers: the input of each network, and under each tag of its weights."""
    timm = load("timm")
    names = timm.list_models()
    tagged = timm.list_models(pretrained=True)
    said = {name: _said(timm.get_pretrained_cfg(name)) for name in (*names, *tagged)}
    return {
        "networks": {name: said[name] for name in names},
        "variants": {name: said[name] for name in tagged},
    }


def _said(config: Any) -> dict[str, str]:
    """What is said of a network: every one gives maps, and most classify."""
    _, height, width = config.input_size
    kind = "backbone, classifier" if config.num_classes else "backbone"
    return {"input": f"{width}x{height}", "kind": kind}


def _tapped(network: Network, size: Size, taps: Sequence[str]) -> Backbone:
    """Make the backbone of some taps: a chain of steps, which can be cut, where timm gives one."""
    probe, places = probed(network, size, taps)
    given = sorted(set(places))
    features = network.features(size, [probe.indices[place] for place in given])
    names = [probe.stages[place].name for place in places]
    steps = chain_of(features) if probe.is_chain else {}
    ends = [stage for stage in probe.stages if stage.name in steps]
    if set(names) <= {stage.name for stage in ends}:
        return Backbone(steps, ends, taps=names, norm=norm_of(features))
    stages = [probe.stages[place] for place in given]
    return TimmBackbone(ChannelsFirst(features), stages, names, norm_of(features))


def _on_pyramid(network: Network, size: Size, taps: Sequence[str]) -> Backbone:
    """Make a plain transformer's last map into those at other strides."""
    probe, places = probed(network, size, (), is_whole=True)
    strides = {stage.stride for stage in probe.stages}
    if strides != {PLAIN_STRIDE}:
        raise UsageError(
            f"a simple pyramid needs a plain transformer, with all maps at stride {PLAIN_STRIDE}; "
            f"this one's are at {', '.join(map(str, sorted(strides)))}"
        )
    for tap in taps:
        if tap not in LEVELS:
            raise UsageError(f"a simple pyramid has no {tap}; it has {', '.join(LEVELS)}")
    levels = tuple(taps) or LEVELS[-1:]
    features = network.features(size, [probe.indices[place] for place in places])
    pyramid = SimplePyramid(features, probe.stages[places[0]].channels, levels)
    return TimmBackbone(pyramid, pyramid.stages, levels, norm_of(features))
