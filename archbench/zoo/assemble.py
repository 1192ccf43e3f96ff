"""Build the network that was resolved."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from archbench.spec import UsageError
from archbench.zoo.catalogue import Entry, Network
from archbench.zoo.contracts import Classifier


def assemble(network: Network) -> nn.Module:
    """Build a network on torch's default device, with torch's initial weights, in evaluation mode.

    Gives a `Detector`, a `Classifier` or, for no classes, a `Backbone`. Raises UsageError for a
    pair that does not fit.
    """
    try:
        with warnings.catch_warnings():
            # A layer without channels is refused below, in our words.
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            module = _module(network)
        if any(parameter.numel() == 0 for parameter in module.parameters()):
            raise ValueError("a layer would have no channels")
    except UsageError as error:
        raise UsageError(f"{_named(network)} cannot be built: {error}") from None
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        line = str(error).strip().partition("\n")[0]
        raise UsageError(f"{_named(network)} cannot be built: {line}") from error
    return module.eval()


def _module(network: Network) -> nn.Module:
    base, head, spec = network.backbone, network.detector, network.spec
    options = dict(network.backbone_options)
    form = str(options.pop("classifier"))
    backbone = _builder(base)(**base.arguments, **options, taps=head.taps if head else None)
    if head:
        module: nn.Module = _builder(head)(
            backbone,
            size=(spec.width, spec.height),
            classes=spec.classes,
            **head.arguments,
            **network.detector_options,
        )
        return module
    return Classifier(backbone, classes=spec.classes, form=form) if spec.classes else backbone


def _named(network: Network) -> str:
    spec = network.spec
    pair = f"{spec.detector} on {spec.backbone}" if spec.detector else spec.backbone
    return f"{pair} ({spec.options_text})" if spec.options else pair


def _builder(entry: Entry) -> Callable[..., Any]:
    """Find what builds an entry, in the zoo or in the plug-in that it comes from."""
    name, _, function = entry.builder.rpartition(":")
    module = (
        _plugin(entry.plugin)
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


def _plugin(plugin: str) -> ModuleType:
    """Import a plug-in, a file or a module's name."""
    try:
        if not plugin.endswith(".py"):
            return importlib.import_module(plugin)
        name = f"archbench_plugin_{Path(plugin).stem}"
        if name not in sys.modules or sys.modules[name].__file__ != plugin:
            loaded = importlib.util.spec_from_file_location(name, plugin)
            assert loaded
            assert loaded.loader
            sys.modules[name] = importlib.util.module_from_spec(loaded)
            loaded.loader.exec_module(sys.modules[name])
        return sys.modules[name]
    except Exception as error:
        raise UsageError(
            f"plug-in {plugin} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
