"""Build the network that a spec names."""

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

from archbench.spec import Spec, UsageError
from archbench.zoo.catalogue import registry
from archbench.zoo.contracts import Classifier


def assemble(spec: Spec) -> nn.Module:
    """Build a spec's network on torch's default device, with torch's initial weights, in evaluation
    mode.

    Gives a `Detector`, a `Classifier` or, for no classes, a `Backbone`. Raises UsageError for a
    pair that does not fit.
    """
    base = registry.find("backbone", spec.backbone)
    head = (
        registry.find("detector", spec.detector).on_family(base.stands_as)
        if spec.detector
        else None
    )
    of_base, of_head = registry.values(spec)
    form = str(of_base.pop("classifier"))
    try:
        with warnings.catch_warnings():
            # A layer without channels is refused below, in our words.
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            backbone = _builder(base)(**base.arguments, **of_base, taps=head.taps if head else None)
            if head:
                network = _builder(head)(
                    backbone,
                    size=(spec.width, spec.height),
                    classes=spec.classes,
                    **head.arguments,
                    **of_head,
                )
            else:
                network = (
                    Classifier(backbone, classes=spec.classes, form=form)
                    if spec.classes
                    else backbone
                )
        if any(parameter.numel() == 0 for parameter in network.parameters()):
            raise ValueError("a layer would have no channels")
    except UsageError as error:
        raise UsageError(f"{_named(spec)} cannot be built: {error}") from None
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        line = str(error).strip().partition("\n")[0]
        raise UsageError(f"{_named(spec)} cannot be built: {line}") from error
    return network.eval()


def _named(spec: Spec) -> str:
    pair = f"{spec.detector} on {spec.backbone}" if spec.detector else spec.backbone
    return f"{pair} ({spec.options_text})" if spec.options else pair


def _builder(entry: registry.Entry) -> Callable[..., Any]:
    """Find what builds an entry, in the zoo or in the plug-in that it comes from."""
    module, _, function = entry.builder.rpartition(":")
    found = (
        _plugin(entry.plugin)
        if entry.plugin
        else importlib.import_module(f"archbench.zoo.{entry.kind}s.{module}")
    )
    try:
        builder: Callable[..., Any] = getattr(found, function)
    except AttributeError:
        raise UsageError(
            f"{entry.plugin or found.__name__} has no {function}, the builder of {entry.name}"
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
