"""Build the network that was resolved."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from torch import nn

from archbench.spec import UsageError
from archbench.tracebacks import first_line
from archbench.zoo.catalogue import Entry, Network
from archbench.zoo.catalogue.blame import blamed
from archbench.zoo.catalogue.plugins import import_plugin
from archbench.zoo.contracts import Backbone, Classifier, Detector
from archbench.zoo.sources.building import build_backbone, build_whole


def assemble(network: Network, made: AbstractContextManager[Any]) -> nn.Module:
    """Build a network in evaluation mode, where and with which weights `made` says: a
    `torch.device` has torch's initial ones.

    Gives a `Detector`, a `Classifier` or, for no classes, a `Backbone`. Raises UsageError for a
    pair that does not fit, and for whatever the code of a plug-in raises.
    """
    cannot = f"{_named(network)} cannot be built"
    with blamed(network.plugin_files, cannot), warnings.catch_warnings():
        # Torch warns of a layer without channels, which is refused below.
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        try:
            # A device is asked of every function, in Python: for no longer than layers are made.
            with made:
                module = _module(network).eval()
            if not network.spec.is_whole and any(
                parameter.numel() == 0 for parameter in module.parameters()
            ):
                raise UsageError("a layer would have no channels")
            return module
        except UsageError as error:
            raise UsageError(f"{cannot}: {error}") from None
        except (ValueError, TypeError, OverflowError, RuntimeError) as error:
            if network.plugin_files:
                raise
            raise UsageError(f"{cannot}: {first_line(error)}") from error


def _module(network: Network) -> nn.Module:
    base, head, spec = network.backbone, network.detector, network.spec
    if spec.is_whole:
        return build_whole(network)
    options = dict(network.backbone_options)
    form = str(options.pop("classifier", ""))
    taps = head.taps if head else None
    if spec.origin:
        backbone: Any = build_backbone(network)
    else:
        backbone = _builder(base)(**base.arguments, **options, taps=taps)
    _check_built(base, Backbone, backbone)
    if head:
        detector: nn.Module = _builder(head)(
            backbone,
            size=(spec.width, spec.height),
            classes=spec.classes,
            **head.arguments,
            **network.detector_options,
        )
        _check_built(head, Detector, detector)
        return detector
    trunk: nn.Module = backbone
    return Classifier(backbone, classes=spec.classes, form=form) if spec.classes else trunk


def _check_built(entry: Entry, kind: type, module: Any) -> None:
    """Raise UsageError where an entry's builder gave something else."""
    if not isinstance(module, kind):
        builder = f"{entry.builder} of {entry.plugin}" if entry.plugin else entry.builder
        raise UsageError(f"{builder} returns a {type(module).__name__}, not a {kind.__name__}")


def _named(network: Network) -> str:
    spec = network.spec
    pair = f"{spec.detector} on {spec.backbone}" if spec.detector else spec.backbone
    return f"{pair} ({spec.options_text})" if spec.options else pair


def _builder(entry: Entry) -> Callable[..., Any]:
    """Find what builds an entry, in the zoo or in the plug-in that it comes from."""
    name, _, function = entry.builder.rpartition(":")
    module = (
        import_plugin(entry.plugin)
        if entry.plugin
        else importlib.import_module(f"archbench.zoo.{entry.kind}s.{name}")
    )
    try:
        builder: Callable[..., Any] = getattr(module, function)
    except AttributeError:
        raise UsageError(
            f"{entry.plugin or module.__name__} has no {function}, the builder of {entry.name}"
        ) from None
    return builder
