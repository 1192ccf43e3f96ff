"""Which device the settings name, opened."""

from __future__ import annotations

import torch

from archbench.measure.machine.cuda import CudaDevice
from archbench.measure.machine.device import Device
from archbench.settings import Settings
from archbench.spec import UsageError


def open_device(settings: Settings) -> Device:
    """Open the device that the settings name; `auto` is CUDA where there is one."""
    wants_cuda = settings.device.startswith("cuda") or (
        settings.device == "auto" and torch.cuda.is_available()
    )
    if not wants_cuda:
        return Device(settings)
    if not torch.cuda.is_available():
        built = "" if torch.version.cuda else "; this torch is built without CUDA"
        raise UsageError(f"device {settings.device}: there is no CUDA device here{built}")
    return CudaDevice(settings)
