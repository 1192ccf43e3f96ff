"""What runs a network. One table: each engine's file declares what it is, and whether it can be
used here. Torch-free, until a network is prepared or loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from archbench.engines.eager import COMPILE, EAGER
from archbench.engines.engine import Engine
from archbench.engines.onnxruntime import ONNXRUNTIME
from archbench.engines.openvino import OPENVINO
from archbench.engines.tensorrt import TENSORRT

__all__ = ["ENGINES", "Engine"]

ENGINES: Mapping[str, Engine] = MappingProxyType(
    {engine.name: engine for engine in (EAGER, COMPILE, ONNXRUNTIME, OPENVINO, TENSORRT)}
)
"""Every engine, by its name."""
