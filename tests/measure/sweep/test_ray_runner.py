"""The queues on a Ray cluster, started here: placement, results, interruption, a supervisor that is
lost.
"""

from __future__ import annotations

import importlib.util
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archbench.measure.job.supervisor import measure
from archbench.measure.sweep.places import Place, places
from archbench.measure.sweep.plans import Order, Runner, Task, plan
from archbench.measure.sweep.queues import run
from archbench.records import Record, Store
from archbench.settings import QUICK, Settings
from archbench.spec import UsageError
from archbench.zoo.catalogue import resolve

pytestmark = pytest.mark.slow

FAST = replace(QUICK, budget_s=0.3, threads=1, device="cpu")
SPECS = [resolve("resnet18", size=side).spec for side in (32, 64)]
ORDER = Order(repeats=1, seed=0, run_id="a run")


def tasks(settings: Settings) -> list[Task]:
    return [(spec, settings) for spec in SPECS]


def test_without_ray_the_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from archbench.measure.sweep.ray_runner import cluster

    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'archbench\[ray\]'"), cluster("local", FAST):
        pass


needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="Ray is not installed: pip install 'archbench[ray]'",
)


@pytest.fixture(scope="module")
def runners() -> Iterator[dict[Place, Runner]]:
    """What runs jobs on a cluster of this machine."""
    from archbench.measure.sweep.ray_runner import cluster

    with cluster("local", FAST) as found:
        yield found


def measured(
    runners: dict[Place, Runner], folder: Path, interruptions: list[int] | None = None
) -> list[Record]:
    store = Store(folder)
    for _ in run(
        plan(tasks(FAST), runners, ORDER, store.read()),
        store.append,
        [] if interruptions is None else interruptions,
    ):
        pass
    return store.read()


def known(record: Record) -> Any:
    """What of a record does not depend on the moment."""
    environment = {
        name: record.environment[name]
        for name in ("host", "device_name", "threads", "cpu_capability", "torch")
    }
    return (
        record.spec,
        record.settings,
        record.status,
        record.run_id,
        tuple(record.phases),
        tuple(record.measured),
        str(environment),
    )


@needs_ray
def test_the_processors_of_a_node_are_one_place_and_its_records_are_those_of_a_sweep_here(
    runners, tmp_path
):
    assert [(place.kind, place.device_name) for place in runners] == [
        ("cpu", places(FAST)[0].device_name)
    ]
    there = measured(runners, tmp_path / "there")
    here = measured(dict.fromkeys(places(FAST), measure), tmp_path / "here")
    assert Counter(map(known, there)) == Counter(map(known, here))
    assert {record.environment["variables"]["CUDA_VISIBLE_DEVICES"] for record in there} == {""}
    assert all((tmp_path / "there" / record.samples).exists() for record in there)
    assert len(measured(dict.fromkeys(places(FAST), measure), tmp_path / "there")) == 2


@needs_ray
def test_a_refused_job_is_refused_and_an_interruption_reaches_the_worker(runners, tmp_path):
    with pytest.raises(UsageError, match="tf32"):
        list(
            run(
                plan(
                    [(spec, replace(FAST, precision="tf32")) for spec in SPECS], runners, ORDER, []
                ),
                Store(tmp_path / "none").append,
                [],
            )
        )
    interruptions: list[int] = []
    long = replace(FAST, budget_s=60, target=1e-9)
    store = Store(tmp_path / "interrupted")
    for event in run(plan(tasks(long), runners, ORDER, []), store.append, interruptions):
        if event.news.get("phase") == "latency" and not interruptions:
            interruptions.append(signal.SIGINT)
    assert [record.status for record in store.read()] == ["interrupted"]


@needs_ray
def test_a_supervisor_that_is_lost_is_a_row_and_the_rest_is_not_begun(tmp_path):
    import ray

    from archbench.measure.sweep.ray_runner import cluster

    ray.shutdown()
    with cluster("local", FAST) as runners:
        store = Store(tmp_path)
        for event in run(plan(tasks(FAST), runners, ORDER, []), store.append, []):
            if event.news:
                (lost,) = (runner.args[0] for runner in runners.values())  # type: ignore[attr-defined]
                ray.kill(lost)
    assert [(record.status, record.reason.code) for record in store.read()] == [
        ("error", "node_lost"),
        ("skipped", "node_lost"),
    ]


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:999999"])
def test_an_address_where_nothing_listens_is_one_line_at_once(address):
    from archbench.measure.sweep.ray_runner import cluster

    with pytest.raises(UsageError, match="no Ray cluster answers at"), cluster(address, FAST):
        pass


@needs_ray
def test_a_cluster_without_cards_says_so_before_anything_waits():
    import ray

    from archbench.measure.sweep.ray_runner import cluster

    ray.shutdown()
    with (
        pytest.raises(UsageError, match="the cluster has no GPU"),
        cluster("local", replace(FAST, device="cuda")),
    ):
        pass
    with (
        pytest.raises(UsageError, match="numbers its cards itself"),
        cluster("local", replace(FAST, device="cuda:0")),
    ):
        pass
