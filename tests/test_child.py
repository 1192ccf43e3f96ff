"""No process of archbench's own imports from the folder in which it starts."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archbench import child

SHADOWED = ("torch", "numpy", "random", "statistics", "profile", "sitecustomize", "archbench")
DECOY = (
    "import pathlib; (pathlib.Path(__file__).parent / '{name}.ran').touch(); raise SystemExit(9)"
)
ROOT = Path(child.__file__).parents[2]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with files and a package named as what a process imports."""
    for name in SHADOWED[:-1]:
        (tmp_path / f"{name}.py").write_text(DECOY.format(name=name))
    (tmp_path / "archbench").mkdir()
    (tmp_path / "archbench/__init__.py").write_text(DECOY.format(name="init"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(start: Path) -> list[str]:
    return sorted(path.stem for path in start.rglob("*.ran"))


def run(start: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=child.environment(), capture_output=True, text=True, timeout=120, cwd=start
    )


@pytest.fixture(params=["", ".", ":", "{start}", "{start}/../{name}", "{link}", "lib:."])
def python_path(
    request: pytest.FixtureRequest, start: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Give PYTHONPATH each of the forms that name the start folder."""
    link = start / "link"
    link.symlink_to(start)
    value = request.param.format(start=start, name=start.name, link=link)
    monkeypatch.setenv("PYTHONPATH", value)
    return value


def test_the_decoys_would_run(start, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ".")
    subprocess.run([sys.executable, "-c", "import torch"], capture_output=True)
    assert "sitecustomize" in ran(start)


def test_the_start_folder_is_on_no_childs_path(python_path, start):
    show = "import sys; print(*sys.path, sep=chr(10))"
    folders = run(start, sys.executable, "-c", show).stdout.splitlines()
    assert folders
    assert str(start) not in {os.path.realpath(folder) for folder in folders}
    assert ran(start) == []


def test_other_folders_of_the_path_and_variables_stay(start, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("other")
    monkeypatch.setenv("PYTHONPATH", f".:{other}:")
    found = child.environment({"CUDA_VISIBLE_DEVICES": ""})
    assert (found["PYTHONPATH"], found["CUDA_VISIBLE_DEVICES"]) == (str(other), "")


def test_a_start_folder_that_python_itself_lives_in_stays(monkeypatch):
    monkeypatch.chdir(Path(os.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    assert child.environment()["PYTHONPATH"] == str(Path.cwd())


def test_a_start_folder_that_is_gone_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setenv("PYTHONPATH", f".:{tmp_path}")
    assert child.environment()["PYTHONPATH"] == str(tmp_path)


def test_the_worker_imports_nothing_from_there(start, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    done = run(start, *child.command("archbench.measure.job.worker", str(start)))
    assert done.stderr.splitlines()[-1].endswith(f"'{start / 'job.json'}'"), done.stderr
    assert ran(start) == []


def test_the_child_that_lists_cards_imports_nothing_from_there(start, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ".")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = run(start, *child.command("archbench.measure.machine.cards", "use"))
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
    assert ran(start) == []


def test_what_a_child_starts_imports_nothing_from_there(start):
    ask = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'random'])"
    done = run(start, sys.executable, "-c", ask)
    assert done.returncode == 0, done.stderr
    assert ran(start) == []


@pytest.mark.slow
def test_a_source_tree_that_is_only_on_the_path_is_the_childs_too(tmp_path, monkeypatch):
    """Also where it is the start folder: its package is loaded from its place, not by the path."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "archbench", tree / "archbench", ignore=shutil.ignore_patterns("*.pyc"))
    (tree / "profile.py").write_text(DECOY.format(name="profile"))
    code = "from archbench.measure.job.supervisor import WORKER; print(*WORKER, sep=chr(10))"
    monkeypatch.setenv("PYTHONPATH", str(tree))
    for folder in (tmp_path, tree):
        monkeypatch.chdir(folder)
        command = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert str(tree) in command.stdout
        done = run(folder, *command.stdout.splitlines(), "nowhere")
        assert f"{tree}/archbench/measure/job/worker.py" in done.stderr
        assert "job.json" in done.stderr.splitlines()[-1]
    assert ran(tree) == []


@pytest.mark.slow
def test_the_command_measures_where_such_files_lie(start):
    code = "import sys; sys.path.remove(''); from archbench.cli.main import main; main()"
    words = ("profile", "mobilenet", "--size", "32", "--quick", "--budget", "0.2", "--results", "r")
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert ran(start) == []


def test_the_command_leaves_its_path_given_by_the_environment(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text(DECOY.format(name="torch"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ".")
    code = "from archbench.cli.main import main; main()"
    words = ("profile", "mobilenet", "--size", "32", "--no-measure")
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ran(tmp_path) == []


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_an_actor_of_ray_imports_nothing_from_there(start):
    code = """
import sys; sys.path.remove('')
from archbench.child import leave_start_folder; leave_start_folder()
from archbench.measure.sweep.ray_runner import cluster
from archbench.spec import QUICK
import ray
with cluster("local", QUICK) as runners:
    (runner,) = runners.values()
    asked = runner.args[0].__ray_call__.remote(lambda _: __import__("sys").path)
    print(*ray.get(asked), sep=chr(10))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    folders = done.stdout.splitlines()
    assert folders
    assert str(start) not in folders
    assert ran(start) == []
