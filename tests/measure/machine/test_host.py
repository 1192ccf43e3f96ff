"""What the kernel says of the host."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from archbench.measure.machine import host
from archbench.measure.machine.host import ProcessorTime, processor_time

STAT = """cpu  900 90 90 9000 90 9 9 90 0 0
cpu0 100 10 20 1000 50 1 2 30 0 0
cpu1 200 20 30 2000 60 3 4 50 7 0
cpu2 600 60 40 6000 70 5 3 10 0 0
intr 1
"""


def told(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> ProcessorTime | None:
    """What is read where the kernel's account is `text` and this process may use processors 0 and
    1.
    """
    (folder / "stat").write_text(text)
    read = host._read
    monkeypatch.setattr(
        host, "_read", lambda path: read(folder / "stat" if path == "/proc/stat" else path)
    )
    monkeypatch.setattr(host, "affinity", lambda: {0, 1})
    return processor_time()


def test_time_is_of_the_processors_that_may_be_used_without_idleness_and_waiting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert told(monkeypatch, tmp_path, STAT) == ProcessorTime(used=133 + 257, stolen=80)


@pytest.mark.parametrize("text", ["", "cpu0 1 2 3 4\ncpu1 1 2 3 4\n", "cpu7 1 2 3 4 5 6 7 8\n"])
def test_a_kernel_that_keeps_no_account_of_stolen_time_gives_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    assert told(monkeypatch, tmp_path, text) is None


def test_the_stolen_share_is_of_the_time_that_was_wanted() -> None:
    assert ProcessorTime(290, 15).stolen_share(ProcessorTime(200, 5)) == 10 / 100
    assert ProcessorTime(200, 5).stolen_share(ProcessorTime(200, 5)) is None


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 2.5),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_a_cgroup_grants_its_quota_of_each_period(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], quota: float | None
) -> None:
    """In version 2, then in version 1; cores are as many as the quota begins."""
    monkeypatch.setattr(
        host, "_read", lambda path: files.get(str(path).removeprefix("/sys/fs/cgroup/"))
    )
    monkeypatch.setattr(host, "affinity", lambda: set(range(4)))
    assert host.cgroup_quota() == quota
    assert host.usable_cores() == {1.5: 2, 2.5: 3, 0.5: 1, None: 4}[quota]


@pytest.mark.skipif(sys.platform != "linux", reason="the account is Linux's")
def test_work_is_in_the_account() -> None:
    before = processor_time()
    sum(range(20_000_000))
    after = processor_time()
    assert before
    assert after
    assert after.used > before.used


@pytest.mark.parametrize(
    ("target", "sees_all", "contained"),
    [("pid:[4026531836]", True, False), ("pid:[4026532999]", False, True), (None, False, False)],
)
def test_a_pid_namespace_that_is_not_the_first_is_a_containers(
    monkeypatch, tmp_path, target, sees_all, contained
):
    link = tmp_path / "pid"
    if target:
        link.symlink_to(target)
    monkeypatch.setattr(host, "PID_NAMESPACE", link)
    monkeypatch.setattr(host, "CONTAINER_FILES", ())
    for name in host.CONTAINER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert (host.sees_all_processes(), host.in_container()) == (sees_all, contained)


def test_containers_of_every_kind_are_known_by_their_marks(monkeypatch, tmp_path):
    monkeypatch.setattr(host, "PID_NAMESPACE", tmp_path / "none")
    monkeypatch.setattr(host, "CONTAINER_FILES", (str(tmp_path / "mark"),))
    for name in host.CONTAINER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert not host.in_container()
    for name in host.CONTAINER_VARIABLES:
        with monkeypatch.context() as patch:
            patch.setenv(name, "any")
            assert host.in_container()
    (tmp_path / "mark").touch()
    assert host.in_container()
    assert host.fingerprint()["container"]
