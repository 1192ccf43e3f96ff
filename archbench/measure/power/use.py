"""Who uses a card and how much of it, as its driver tells. Pure and torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """A process on a card: its id, 0 where the driver withholds it, and its memory there, None
    where that is not told.
    """

    pid: int
    held_bytes: int | None


@dataclass(frozen=True)
class Use:
    """A look at a card; None stands for what the driver does not tell.

    Under older drivers ids are the host's even in a container; newer ones list only processes of
    the caller's PID namespace (NVIDIA/open-gpu-kernel-modules, src/nvidia/src/kernel/gpu,
    gpu_rmapi.c).
    """

    computing: tuple[Process, ...] | None = None
    """Processes with a context that computes."""
    drawing: tuple[Process, ...] | None = None
    """Processes that draw, such as those of a display."""
    percent: int | None = None
    """Share of the driver's last sampling period in which something ran."""
    used_bytes: int | None = None
    """Memory in use, by all processes."""

    @property
    def computing_count(self) -> int | None:
        """How many processes compute."""
        return None if self.computing is None else len(_distinct(self.computing))

    @property
    def drawing_count(self) -> int | None:
        """How many processes draw."""
        return None if self.drawing is None else len(_distinct(self.drawing))

    def own(self, pid: int, *, sees_all: bool) -> Process | None:
        """The process with this id; where ids may be another namespace's (not `sees_all`), else the
        only one that computes.
        """
        found = self.computing or ()
        named = next((process for process in found if process.pid == pid), None)
        return found[0] if named is None and not sees_all and len(found) == 1 else named

    def computing_besides(self, pid: int) -> int:
        """How many processes of another id compute, as far as they are listed."""
        listed = _distinct(self.computing or ())
        return sum(process.pid != pid for process in listed)

    def bytes_of_others(self, own: Process | None) -> int | None:
        """Memory of all processes in the lists but one; None where it is not told of each."""
        listed = _distinct((*(self.computing or ()), *(self.drawing or ())))
        held = [process.held_bytes for process in listed if own is None or process.pid != own.pid]
        return None if None in held else sum(size for size in held if size is not None)


def _distinct(processes: Iterable[Process]) -> list[Process]:
    """Each process once: one that computes and draws stands in both lists, with the same memory."""
    listed = list(processes)
    known = {process.pid: process for process in listed if process.pid}
    return [*known.values(), *(process for process in listed if not process.pid)]
