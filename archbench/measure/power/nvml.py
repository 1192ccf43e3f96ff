"""The one door to NVML: what NVIDIA's driver says of a card. Torch-free.

Only reads, which need no privilege: clocks, limits, modes and MIG stay as they are.
"""

from __future__ import annotations

import ctypes
import math
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from archbench.measure.power.meter import GpuLostError
from archbench.measure.power.use import Process, Use
from archbench.reasons import Reason
from archbench.records.conditions import Environment

T = TypeVar("T")

REASONS = {
    3: Reason.NOT_SUPPORTED,
    4: Reason.NO_PERMISSION,
    9: Reason.DRIVER_NOT_LOADED,
    10: Reason.NVML_TRANSIENT,
    12: Reason.NVML_LIBRARY_MISSING,
    13: Reason.DRIVER_TOO_OLD,
    18: Reason.DRIVER_LIBRARY_MISMATCH,
    21: Reason.NVML_TRANSIENT,
    999: Reason.NVML_TRANSIENT,
}
"""What NVML's return codes say."""
NOT_SUPPORTED = 3
NOT_FOUND, LIBRARY_MISSING, FUNCTION_NOT_FOUND = 6, 12, 13
CUDA_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
TRANSIENT = (10, 21, 999)
LOST = (15, 16)
RETRIES_S = (0.01, 0.05, 0.25)
"""Waits before what may be transient is tried again."""
SM_CLOCK, MEMORY_CLOCK, GPU_TEMPERATURE = 1, 2, 0
MEMORY_TEMPERATURE = 82
"""NVML's field number (nvidia-ml-py, pynvml.py, NVML_FI_DEV_MEMORY_TEMP)."""


def load_binding() -> tuple[Any, str]:
    """Import NVIDIA's binding: the module, or None and a sentence that says what stands in its
    place.
    """
    try:
        binding = import_module("pynvml")
    except ImportError:
        return None, "the module pynvml is not there: pip install nvidia-ml-py"
    # NVIDIA's is a single module; a package of that name is the unofficial one, which hides it.
    if hasattr(binding, "__path__"):
        try:
            release = f" {version('pynvml')}"
        except PackageNotFoundError:
            release = ""
        return (
            None,
            f"the unofficial package pynvml{release} hides NVIDIA's binding: pip uninstall "
            "pynvml; pip install nvidia-ml-py",
        )
    return binding, ""


def may_have_cards() -> bool:
    """Whether there may be cards: the driver answers, or cannot be asked though CUDA's library is
    there, as in containers that are given its computing part alone (NVIDIA Container Toolkit,
    "Driver capabilities": NVML's library comes with `utility`).
    """
    binding, _ = load_binding()
    if binding is None:
        return True
    try:
        binding.nvmlInit()
    except binding.NVMLError as error:
        return error.value == LIBRARY_MISSING and _has_cuda()
    return True


def _has_cuda() -> bool:
    """Whether CUDA's own library loads, which touches no card."""
    try:
        ctypes.CDLL(CUDA_LIBRARY)
    except OSError:
        return False
    return True


class NvmlCard:
    """A card as its driver sees it, found by UUID or by NVML's own index.

    Each question is answered with None where the driver does not answer; `failures` then holds the
    reason by NVML's function, and `why_not` a reason where nothing at all can be asked. What the
    driver did not answer in four tries is not asked again.
    Once the card is lost every question raises GpuLostError.
    """

    def __init__(self, uuid: str | None = None, *, index: int = 0) -> None:
        self.failures: dict[str, Reason] = {}
        self.retries = 0
        self._given_up: set[tuple[Any, ...]] = set()
        self._handle: Any = None
        self._nvml, self.message = load_binding()
        # What newer bindings raise in the place of an NVMLError for a function without a version.
        self._mismatch = getattr(self._nvml, "NVMLLibraryMismatchError", ())
        self.why_not = None if self._nvml else Reason.NVML_BINDING_MISSING
        self._mig_slice = False
        if self._nvml:
            self._open(uuid, index)

    def _open(self, uuid: str | None, index: int) -> None:
        code, _ = self.call(self._nvml.nvmlInit)
        if not code:
            code, self._handle = self.call(lambda: self._find(uuid, index))
        if code:
            self.why_not = reason_of(code)

    def _find(self, uuid: str | None, index: int) -> Any:
        if uuid is None:
            return self._nvml.nvmlDeviceGetHandleByIndex(index)
        self._mig_slice = uuid.startswith("MIG-")
        try:
            return self._nvml.nvmlDeviceGetHandleByUUID(uuid)
        except self._nvml.NVMLError as error:
            if error.value != NOT_FOUND or not uuid.startswith("GPU-"):
                raise
            # CUDA gives the UUID of a slice as it does that of a card.
            self._mig_slice = True
            return self._nvml.nvmlDeviceGetHandleByUUID(uuid.replace("GPU-", "MIG-", 1))

    def call(self, question: Callable[[], T]) -> tuple[int, T | None]:
        """Ask, up to three times again where the failure may pass: NVML's return code and the
        answer.
        """
        for wait in (*RETRIES_S, None):
            try:
                return 0, question()
            except self._nvml.NVMLError as error:
                code = int(error.value)
            except self._mismatch:
                code = FUNCTION_NOT_FOUND
            if code in LOST:
                raise GpuLostError(
                    f"NVML says {code}: the card has fallen off its bus or needs a reset"
                )
            if code not in TRANSIENT or wait is None:
                break
            self.retries += 1
            time.sleep(wait)
        return code, None

    def ask(self, function: str, *arguments: Any) -> Any:
        """Ask by the function's name; None, with the reason in `failures`, where there is no
        answer.
        """
        return self._answer(
            lambda: getattr(self._nvml, function)(self._handle, *arguments), function, *arguments
        )

    def _answer(self, question: Callable[[], T], name: str, *arguments: Any) -> T | None:
        """The answer to a question of this name and these arguments, as of `ask`."""
        if self._handle is None or (name, *arguments) in self._given_up:
            return None
        code, answer = self.call(question)
        if code:
            self.failures[name] = reason_of(code)
        if code in TRANSIENT:
            self._given_up.add((name, *arguments))
        return answer

    def name(self) -> str | None:
        """The card's name."""
        return self.ask("nvmlDeviceGetName")

    def uuid(self) -> str | None:
        """The card's UUID, GPU-..."""
        return self.ask("nvmlDeviceGetUUID")

    def driver(self) -> str | None:
        """The driver's version."""
        return None if self._handle is None else self.call(self._nvml.nvmlSystemGetDriverVersion)[1]

    def capability(self) -> float | None:
        """The compute capability, such as 8.6."""
        found = self.ask("nvmlDeviceGetCudaComputeCapability")
        return found and found[0] + found[1] / 10

    def used_bytes(self) -> int | None:
        """Memory in use on the card, by all processes."""
        memory = self.ask("nvmlDeviceGetMemoryInfo")
        return None if memory is None else int(memory.used)

    def use(self) -> Use:
        """Who computes and draws on the card, how busy it is, and what of its memory is in use."""
        return Use(
            self._processes("nvmlDeviceGetComputeRunningProcesses"),
            self._processes("nvmlDeviceGetGraphicsRunningProcesses"),
            self.utilisation_percent(),
            self.used_bytes(),
        )

    def _processes(self, function: str) -> tuple[Process, ...] | None:
        found = self.ask(function)
        if found is None:
            return None
        return tuple(Process(process.pid, process.usedGpuMemory) for process in found)

    def computing_count(self) -> int | None:
        """How many processes compute on the card."""
        found = self._processes("nvmlDeviceGetComputeRunningProcesses")
        return Use(found).computing_count

    def utilisation_percent(self) -> int | None:
        """Share of the driver's last sampling period in which something ran on the card."""
        rates = self.ask("nvmlDeviceGetUtilizationRates")
        return None if rates is None else int(rates.gpu)

    def sm_clock_mhz(self) -> int | None:
        """The clock of the multiprocessors."""
        return self.ask("nvmlDeviceGetClockInfo", SM_CLOCK)

    def memory_clock_mhz(self) -> int | None:
        """The clock of the memory."""
        return self.ask("nvmlDeviceGetClockInfo", MEMORY_CLOCK)

    def temperature_c(self) -> int | None:
        """The chip's temperature."""
        return self.ask("nvmlDeviceGetTemperature", GPU_TEMPERATURE)

    def memory_temperature_c(self) -> int | None:
        """The memory's temperature, which cards with stacked memory tell."""
        return self._answer(lambda: self._field(MEMORY_TEMPERATURE, 0), "memory temperature")

    def event_reasons(self) -> int | None:
        """Why the clocks are as they are, as NVML's bits."""
        found = self.ask("nvmlDeviceGetCurrentClocksEventReasons")
        # Drivers before 535 know the function by its older name.
        return found if found is not None else self.ask("nvmlDeviceGetCurrentClocksThrottleReasons")

    def performance_state(self) -> int | None:
        """The performance state: 0 is the fastest."""
        return self.ask("nvmlDeviceGetPerformanceState")

    def power_limit_w(self) -> float | None:
        """The power limit in force."""
        milliwatts = self.ask("nvmlDeviceGetEnforcedPowerLimit")
        return None if milliwatts is None else milliwatts / 1e3

    def default_power_limit_w(self) -> float | None:
        """The power limit that the card comes with."""
        milliwatts = self.ask("nvmlDeviceGetPowerManagementDefaultLimit")
        return None if milliwatts is None else milliwatts / 1e3

    def mig_enabled(self) -> bool | None:
        """Whether the card is cut into slices (MIG), whose power nobody knows apart; None where the
        driver does not say.
        """
        if self._mig_slice:
            return True
        modes = self.ask("nvmlDeviceGetMigMode")
        if modes is not None:
            return bool(modes[0])
        return False if self.failures.get("nvmlDeviceGetMigMode") == Reason.NOT_SUPPORTED else None

    def ecc_enabled(self) -> bool | None:
        """Whether memory corrects its errors, which takes bandwidth of memory without bits for it;
        None for a card that cannot, and where the driver does not say.
        """
        modes = self.ask("nvmlDeviceGetEccMode")
        return None if modes is None else bool(modes[0])

    def state(self) -> dict[str, float]:
        """What bears on times and energy and moves: nan where the driver does not tell."""
        found = {
            "sm_clock_mhz": self.sm_clock_mhz(),
            "memory_clock_mhz": self.memory_clock_mhz(),
            "temperature_c": self.temperature_c(),
            "memory_temperature_c": self.memory_temperature_c(),
            "event_reasons": self.event_reasons(),
            "performance_state": self.performance_state(),
            "utilisation_percent": self.utilisation_percent(),
            "processes": self.computing_count(),
        }
        return {name: math.nan if value is None else float(value) for name, value in found.items()}

    def fingerprint(self) -> Environment:
        """What of the card bears on a measurement and stays as it is."""
        return {
            "driver": self.driver(),
            "power_limit_w": self.power_limit_w(),
            "default_power_limit_w": self.default_power_limit_w(),
            "application_clock_mhz": self.ask("nvmlDeviceGetApplicationsClock", SM_CLOCK),
            "application_memory_clock_mhz": self.ask(
                "nvmlDeviceGetApplicationsClock", MEMORY_CLOCK
            ),
            "ecc": self.ecc_enabled(),
            "mig": self.mig_enabled(),
            "persistence": self.ask("nvmlDeviceGetPersistenceMode"),
            "compute_mode": self.ask("nvmlDeviceGetComputeMode"),
            "vbios": self.ask("nvmlDeviceGetVbiosVersion"),
        }

    def usage_w(self) -> tuple[int, float | None]:
        """Power as nvidia-smi prints it: NVML's return code and watts."""
        code, milliwatts = self.call(lambda: self._nvml.nvmlDeviceGetPowerUsage(self._handle))
        return code, milliwatts and milliwatts / 1e3

    def field_w(self, number: int, scope: int) -> tuple[int, float | None]:
        """A power field in a scope (0: the card, 1: the module with its CPU): NVML's return code
        and watts.
        """
        code, milliwatts = self.call(lambda: self._field(number, scope))
        return code, milliwatts and milliwatts / 1e3

    def _field(self, number: int, scope: int) -> int:
        (value,) = self._nvml.nvmlDeviceGetFieldValues(self._handle, [(number, scope)])
        if value.nvmlReturn:
            raise self._nvml.NVMLError(value.nvmlReturn)
        return int(value.value.uiVal)

    def energy_j(self) -> tuple[int, float | None]:
        """The energy counter since the driver was loaded: NVML's return code and joules."""
        code, millijoules = self.call(
            lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        )
        return code, None if millijoules is None else millijoules / 1e3


def reason_of(code: int) -> Reason:
    """What a return code of NVML says; most are their own number."""
    return REASONS.get(code) or Reason(f"nvml_error_{code}")
