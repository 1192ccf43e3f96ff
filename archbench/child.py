"""Start processes of this package that import nothing from the folder in which they start.

A file `torch.py` or a folder `archbench/` there is the user's own and must not run. Such a process
is `python -P child.py MODULE ARGUMENT...`: it loads the package that this file lies in, wherever
that is, and runs one of its modules.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

NOTHING: Mapping[str, str] = MappingProxyType({})
OFFLINE: Mapping[str, str] = MappingProxyType({"HF_HUB_OFFLINE": "1", "NNCF_CI": "1"})
"""What keeps libraries from asking a hub for anything, and from telling their makers of it."""
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""The variables that say how OpenMP's threads wait for work: the standard's, GCC's, Intel's."""


def command(module: str, *arguments: str) -> list[str]:
    """Give the command line that runs a module of this package; `environment` belongs to it."""
    return [sys.executable, "-P", __file__, module, *arguments]


def environment(variables: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """Give this process's environment, and `variables`, without the start folder on Python's path.

    It holds for whatever the child starts as well, as compilers of kernels do.
    """
    given = {**os.environ, **variables, "PYTHONSAFEPATH": "1"}
    folders = _elsewhere(given.pop("PYTHONPATH", "").split(os.pathsep))
    return given | ({"PYTHONPATH": os.pathsep.join(folders)} if folders else {})


def at_rest() -> Mapping[str, str]:
    """Give the variables that keep torch's threads, which postprocess, from spinning while an
    engine's run the next call: that costs a call of 15 ms a fifth. A choice of the user's wins.
    """
    return NOTHING if any(map(os.environ.get, WAITING)) else {"OMP_WAIT_POLICY": "passive"}


def leave_start_folder() -> None:
    """Take the start folder off the path of this process and of all that it starts."""
    sys.path[:] = _elsewhere(sys.path)
    kept = environment()
    if "PYTHONPATH" not in kept:
        os.environ.pop("PYTHONPATH", None)
    os.environ.update(kept)


def _elsewhere(folders: Iterable[str]) -> list[str]:
    """Give those of the folders that are not the current one, however it is written."""
    try:
        here = os.path.realpath(os.curdir)
    except OSError:  # It has been removed.
        here = ""
    return [
        folder
        for folder in folders
        if folder not in ("", os.curdir)
        and (os.path.realpath(folder) != here or here in _of_python())
    ]


def _of_python() -> set[str]:
    """Give the folders of the standard library and of what is installed: nothing runs without."""
    import sysconfig

    return {os.path.realpath(folder) for folder in sysconfig.get_paths().values()}


def main() -> None:
    """Run a module of the package that this file lies in; the arguments after its name are its."""
    import runpy
    from importlib.util import module_from_spec, spec_from_file_location

    leave_start_folder()
    package = Path(__file__).resolve().parent
    spec = spec_from_file_location("archbench", package / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules["archbench"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
