"""Write networks to files in a process of their own, since what a network's code does is not known.
Torch-free.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archbench import child
from archbench.measure.job.folder import hand_over, job_folder
from archbench.measure.job.result import Outcome, Result
from archbench.measure.job.supervisor import Watch, crash, supervise
from archbench.reasons import Status
from archbench.settings import Settings
from archbench.spec import Spec, UsageError

DEADLINE_S = 1800.0
"""How long a network may take to be exported and compared."""
FOUND = "exported.json"
"""What the process of its own writes beside the files of any job."""
SUFFIXES = (".onnx", ".pt2")
"""Kinds of files: ONNX graphs, and programs of torch.export."""
EXPORTER = (*child.command("archbench.measure.job.exporter"),)


class FailedError(Exception):
    """A network could not be exported; the message says why, in a line."""


@dataclass(frozen=True)
class Export:
    """A network that is to be a file."""

    spec: Spec
    settings: Settings
    plain: bool = False
    """Whether operators that some engines lack are made of plain ones."""

    def write(
        self, path: Path, tell: Callable[[Mapping[str, Any]], None] = lambda _: None
    ) -> dict[str, Any]:
        """Write the network to a file, by its ending ONNX or torch's, whole or not at all; gives
        what there is to be said of it. `tell` hears of progress.

        Raises UsageError where nothing can be written there or the network cannot be what was asked
        for, and FailedError where it cannot be exported.
        """
        try:
            with TemporaryDirectory(prefix=".archbench-", dir=path.parent) as made:
                found = self._make(Path(made) / path.name, tell)
                # The weights of a large network lie beside it, and must be there before it is.
                for file in sorted(Path(made).iterdir(), key=lambda file: file.name == path.name):
                    file.replace(path.with_name(file.name))
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from None
        return found

    def _make(self, path: Path, tell: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
        with job_folder() as folder:
            asked = {
                "spec": self.spec.to_dict(),
                "settings": self.settings.to_dict(),
                "file": str(path.resolve()),
                "plain": self.plain,
                "supervisor": os.getpid(),
            }
            hand_over(asked, folder)
            ending = supervise([*EXPORTER, str(folder)], folder, DEADLINE_S, watch=Watch(tell))
            result = Result.read(folder)
            if ending.interrupted:
                raise KeyboardInterrupt
            if ending.timed_out:
                raise FailedError(f"{self.spec} was not exported within {DEADLINE_S:g} s")
            if ending.code == 0 and result.outcome == Outcome.REFUSED and result.reason:
                raise UsageError(result.reason.message)
            if ending.code != 0 or result.status != Status.OK:
                cause = result.reason if ending.code == 0 else None
                why = (cause or crash(ending, result.phase)).message
                raise FailedError(f"{self.spec} cannot be exported: {why}")
            return json.loads((folder / FOUND).read_text(encoding="utf-8"))
