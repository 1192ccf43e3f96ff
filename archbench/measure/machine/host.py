"""What the host is and does: cores this process may use, processor, load. Torch-free; null where
the host does not say.
"""

from __future__ import annotations

import math
import os
import platform
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

from archbench import __version__
from archbench.records.conditions import Environment, HostLoad
from archbench.records.store import host_id

CPUS = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")
PID_NAMESPACE, FIRST_PID_NAMESPACE = Path("/proc/self/ns/pid"), "pid:[4026531836]"
CONTAINER_FILES = (
    "/.dockerenv",
    "/run/.containerenv",
    "/.singularity.d",
    "/run/systemd/container",
    "/run/host/container-manager",
)
"""Files by which Docker, Podman, Apptainer, and LXC or nspawn under systemd mark a container
(systemd's "The Container Interface").
"""
CONTAINER_VARIABLES = ("container", "KUBERNETES_SERVICE_HOST", "APPTAINER_CONTAINER")
"""Variables that say the same: of systemd's interface, of Kubernetes, of Apptainer."""
CONTENDED_PRESSURE = 10.0
"""Percent of 10 s in which something waited for a CPU, above which another program is taken to
disturb.
"""
STOLEN_SHARE = 0.02
"""Share of the time in which a program wanted a processor of a virtual machine, above which its
host is taken to disturb.
"""
ENVIRONMENT_VARIABLES = (
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING",
    "NVIDIA_TF32_OVERRIDE",
    "CUDNN_LOGINFO_DBG",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "KMP_BLOCKTIME",
    "MKL_NUM_THREADS",
    "KMP_AFFINITY",
    "MALLOC_ARENA_MAX",
)


def _read(path: Path | str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def affinity() -> set[int]:
    """Logical processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def usable_cores() -> int:
    """Physical cores in the affinity mask, reduced by the cgroup's quota; at least 1."""
    cores = {
        _read(CPUS / f"cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in affinity()
    }
    quota = cgroup_quota()
    return max(1, min(len(cores), math.ceil(quota) if quota else len(cores)))


def cgroup_quota() -> float | None:
    """Processors' worth of time that the cgroups grant, versions 2 and 1."""
    quotas = []
    for folder in _cgroups("cpu"):
        limit, _, period = (_read(folder / "cpu.max") or "").partition(" ")
        limit = limit or _read(folder / "cpu.cfs_quota_us") or ""
        period = period or _read(folder / "cpu.cfs_period_us") or ""
        if limit.isdigit() and period.isdigit():
            quotas.append(int(limit) / int(period))
    return min(quotas, default=None)


def _cgroups(controller: str) -> list[Path]:
    """The folders of the cgroups that hold this process, from its own up to the root's, in version
    2 and in version 1, which has a tree for each controller (cgroups(7)). In a container the names
    may be the host's: then only the root's folder is there.
    """
    found = [CGROUPS, CGROUPS / controller]
    for line in (_read("/proc/self/cgroup") or "").splitlines():
        _, controllers, group = line.split(":", 2)
        if controller in controllers.split(",") or not controllers:
            top = CGROUPS / controller if controllers else CGROUPS
            own = top / group.lstrip("/")
            found += [folder for folder in (own, *own.parents) if top in folder.parents]
    return found


def cpu_model() -> str:
    """The processor's name as the kernel gives it."""
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def fingerprint() -> Environment:
    """What of the host bears on a measurement. Names nobody: the host is a hash."""
    flags = (_read("/proc/cpuinfo") or "").split()
    return {
        "host": host_id(),
        "archbench": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.release()}",
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "affinity": sorted(affinity()),
        "governor": _read(CPUS / "cpu0/cpufreq/scaling_governor"),
        "container": in_container(),
        "virtual_machine": "hypervisor" in flags,
        "variables": {
            name: os.environ[name] for name in ENVIRONMENT_VARIABLES if name in os.environ
        },
    }


def sees_all_processes() -> bool:
    """Whether this process is in the first PID namespace, whose number is fixed (torvalds/linux,
    include/linux/proc_ns.h, PROC_PID_INIT_INO): in another one, processes outside are hidden.
    """
    return _pid_namespace() == FIRST_PID_NAMESPACE


def in_container() -> bool:
    """Whether this process runs in a container of any kind."""
    return (
        _pid_namespace() not in (None, FIRST_PID_NAMESPACE)
        or any(Path(mark).exists() for mark in CONTAINER_FILES)
        or any(os.environ.get(name) for name in CONTAINER_VARIABLES)
    )


def _pid_namespace() -> str | None:
    try:
        return str(PID_NAMESPACE.readlink())
    except OSError:
        return None


def _commit() -> str | None:
    """The commit of a checkout that this package runs from, "+" behind it where it is changed; None
    when installed.
    """
    top = Path(__file__).resolve().parents[3]
    if not (top / ".git").exists() or not (top / "pyproject.toml").exists():
        return None
    try:
        words = ["git", "-C", str(top), "describe", "--always", "--dirty=+", "--exclude=*"]
        return (
            subprocess.run(
                words, capture_output=True, text=True, timeout=10, check=True
            ).stdout.strip()
            or None
        )
    except (OSError, subprocess.SubprocessError):
        return None


def load() -> HostLoad:
    """How busy the host is: load average over a minute, the share of 10 s in which something waited
    for a CPU, percent.

    With them how often this process has lost its CPU to another.
    """
    pressure = None
    for line in (_read("/proc/pressure/cpu") or "").splitlines():
        words = dict(word.partition("=")[::2] for word in line.split()[1:])
        if line.startswith("some") and "avg10" in words:
            pressure = float(words["avg10"])
    return {
        "load_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "cpu_pressure_avg10": pressure,
        "involuntary_switches": resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw,
    }


def is_contended(load: HostLoad) -> bool:
    """Whether other programs are taken to disturb: by the pressure, or by the load average where
    the kernel has no pressure.

    The load average is slow: a job's own minute before counts as much as another's.
    """
    if load["cpu_pressure_avg10"] is not None:
        return load["cpu_pressure_avg10"] > CONTENDED_PRESSURE
    return (load["load_1min"] or 0.0) > usable_cores() + 1


@dataclass(frozen=True)
class ProcessorTime:
    """What the kernel has counted since it started, of the processors that this process may use, in
    its ticks.

    `used` is the time that programs ran, `stolen` the time that they would have run, had the host
    of the virtual machine not given the processor to another one.
    """

    used: int
    stolen: int

    def stolen_share(self, before: ProcessorTime) -> float | None:
        """The share that was stolen of the time that was wanted since `before`; None where nothing
        was wanted.
        """
        stolen = self.stolen - before.stolen
        wanted = self.used - before.used + stolen
        return stolen / wanted if wanted else None


def processor_time() -> ProcessorTime | None:
    """Read the kernel's account of processors' time (proc(5), /proc/stat); None where it keeps none
    of stolen time.
    """
    allowed = {f"cpu{cpu}" for cpu in affinity()}
    lines = [
        words[1:9]
        for line in (_read("/proc/stat") or "").splitlines()
        if (words := line.split()) and words[0] in allowed
    ]
    if not lines or any(len(words) < 8 for words in lines):
        return None
    user, nice, system, _, _, irq, softirq, stolen = (
        sum(map(int, column)) for column in zip(*lines, strict=True)
    )
    return ProcessorTime(user + nice + system + irq + softirq, stolen)


def last_cache_bytes() -> int:
    """The size of the processor's last cache, as the kernel tells it; 0 where it does not."""
    sizes = [_read(path) or "" for path in (CPUS / "cpu0/cache").glob("index*/size")]
    return max((int(size[:-1]) << 10 for size in sizes if size[:-1].isdigit()), default=0)


def available_bytes() -> int:
    """Memory that this process may still take without swapping, the cgroup's limit respected; 0
    where nothing says.
    """
    found = [
        int(line.split()[1]) * 1024
        for line in (_read("/proc/meminfo") or "").splitlines()
        if line.startswith("MemAvailable:")
    ]
    for folder in _cgroups("memory"):
        most = _read(folder / "memory.max") or _read(folder / "memory.limit_in_bytes") or ""
        used = _read(folder / "memory.current") or _read(folder / "memory.usage_in_bytes") or ""
        if most.isdigit() and used.isdigit():
            found.append(max(0, int(most) - int(used) + _droppable_bytes(folder)))
    return min(found, default=0)


def _droppable_bytes(folder: Path) -> int:
    """What a cgroup's use of memory holds of files and the kernel drops first where it is short."""
    kept = dict(line.split() for line in (_read(folder / "memory.stat") or "").splitlines())
    return int(kept.get("total_inactive_file") or kept.get("inactive_file") or 0)


def reset_peak() -> bool:
    """Forget this process's peak of resident memory; False where the kernel offers no way."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak_bytes() -> int | None:
    """This process's peak of resident memory since `reset_peak`, from the kernel's own account."""
    for line in (_read("/proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
