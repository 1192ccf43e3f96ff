"""What the zoo's own operators are in ONNX: one file a group of operators, a table by their names.

Needs onnxscript, and torch for the operators' names alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from archbench.engines.onnx.translations.deform import deform_conv2d, plain_deform_conv2d
from archbench.engines.onnx.translations.position_sensitive import (
    position_sensitive_align,
    position_sensitive_crop,
    position_sensitive_pool,
)
from archbench.engines.onnx.translations.proposals import detect, propose
from archbench.engines.onnx.translations.regions import crop_and_resize, roi_align, roi_pool
from archbench.engines.onnx.translations.running import cummax

TRANSLATIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        translation.__name__: translation
        for translation in (
            crop_and_resize,
            deform_conv2d,
            detect,
            position_sensitive_align,
            position_sensitive_crop,
            position_sensitive_pool,
            propose,
            roi_align,
            roi_pool,
        )
    }
)
"""Each of the operators `archbench::...` that a forward pass may call."""
PLAIN: Mapping[str, Callable[..., Any]] = MappingProxyType({"deform_conv2d": plain_deform_conv2d})
"""Those that can do without an ONNX operator that some engines lack."""
OF_TORCH: Mapping[str, Callable[..., Any]] = MappingProxyType({"cummax": cummax})
"""Operators `aten::...` that the exporter itself does not translate."""
