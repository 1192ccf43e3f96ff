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


GROUPS: dict[str, tuple[str, dict[str, str], float | None, int]] = {
    "a limit of a service": (
        "0::/system.slice/a:b.service\n",
        {
            "system.slice/a:b.service/cpu.max": "150000 100000",
            "system.slice/a:b.service/memory.max": "5000",
            "system.slice/a:b.service/memory.current": "2000",
        },
        1.5,
        3000,
    ),
    "the least of a job's and its step's": (
        "0::/job/step\n",
        {
            "job/step/cpu.max": "400000 100000",
            "job/step/memory.max": "9000",
            "job/step/memory.current": "1000",
            "job/cpu.max": "50000 100000",
            "job/memory.max": "9000",
            "job/memory.current": "8500",
            "job/memory.stat": "anon 8200\ninactive_file 300\n",
            "cpu.max": "max 100000",
        },
        0.5,
        800,
    ),
    "version 1": (
        "3:cpuset:/away\n2:cpu,cpuacct:/job\n1:memory:/job/step\n0::/\n",
        {
            "cpu/away/cpu.cfs_quota_us": "100000",
            "cpu/away/cpu.cfs_period_us": "100000",
            "cpu/job/cpu.cfs_quota_us": "250000",
            "cpu/job/cpu.cfs_period_us": "100000",
            "memory/job/memory.limit_in_bytes": "7000",
            "memory/job/memory.usage_in_bytes": "7200",
            "memory/job/memory.stat": "inactive_file 100\ntotal_inactive_file 400\n",
        },
        2.5,
        200,
    ),
    "a container that is told the host's path": (
        "1:memory:/docker/1\n0::/docker/1\n",
        {"cpu.max": "250000 100000", "memory.max": "4000", "memory.current": "0"},
        2.5,
        4000,
    ),
    "none": ("0::/user.slice\n", {"user.slice/cpu.max": "max 100000"}, None, 10240),
}


@pytest.mark.parametrize(("cgroup", "files", "quota", "available"), GROUPS.values(), ids=GROUPS)
def test_limits_are_those_of_the_groups_that_hold_this_process(
    monkeypatch: pytest.MonkeyPatch,
    cgroup: str,
    files: dict[str, str],
    quota: float | None,
    available: int,
) -> None:
    """A past bug: outside a container only the root's were read, which has none."""
    told = {f"/sys/fs/cgroup/{name}": text for name, text in files.items()}
    told |= {"/proc/self/cgroup": cgroup, "/proc/meminfo": "MemAvailable: 10 kB"}
    monkeypatch.setattr(host, "_read", lambda path: told.get(str(path)))
    assert (host.cgroup_quota(), host.available_bytes()) == (quota, available)


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
