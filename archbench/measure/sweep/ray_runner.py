"""The same queues on a Ray cluster: an actor holds each card or node for the whole sweep and
supervises the jobs there.

An actor reserves a whole number of cards (one) or all processors of its node, so that two jobs
never share them, and is never restarted: a job that killed it would run again. It hands back
records as data; the driver alone writes to the results.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from archbench.measure.job.folder import job_folder, remove_abandoned
from archbench.measure.job.supervisor import Job, RefusedError, Watch, measure
from archbench.measure.machine import host
from archbench.measure.power.nvml import NvmlCard
from archbench.measure.sweep.places import Place, only
from archbench.measure.sweep.plans import Keep, Runner
from archbench.reasons import Reason, Status
from archbench.records import Cause, Record
from archbench.records.reading import read_record
from archbench.records.store import warn_on_stderr
from archbench.settings import Settings
from archbench.spec import UsageError

CONNECT_S = 5.0
WAIT_S = 60.0
"""How long the cluster may take to give what its nodes have."""
POLL_S = 0.2
CORES_A_CARD = 2
"""Processors that a job on a card keeps free for itself: launches are the host's work."""
PATH = tuple(sys.path)
"""Where an actor imports from: read before Ray puts the folder of the driver in front."""


@dataclass(frozen=True)
class Answer:
    """What an actor found: a record as data, the bytes of its samples, and whether the job was
    refused.
    """

    record: dict[str, Any]
    samples: bytes = b""
    refused: bool = False


class Supervisor:
    """What runs in an actor: jobs one after another, and meanwhile answers to how they go."""

    def __init__(self, kind: Literal["cpu", "cuda"], name: str) -> None:
        sys.path[:] = PATH
        remove_abandoned()
        # Ray limits the threads of what it starts; here the settings do.
        os.environ.pop("OMP_NUM_THREADS", None)
        self._interruptions: list[int] = []
        self._news: dict[str, Any] = {}
        self._place = (
            Place(name, "cpu", host.cpu_model(), variables=only(""))
            if kind == "cpu"
            else _card(name)
        )

    def place(self) -> Place:
        """Where this is."""
        return self._place

    def measure(self, job: Job) -> Answer:
        """Run a job in a process of its own."""
        self._news = {}
        job = replace(job, variables={**job.variables, **self._place.variables})
        try:
            return measure(job, _pack, Watch(self._hear, self._interruptions))
        except RefusedError as refused:
            return Answer(refused.record.to_dict(), refused=True)

    def news(self) -> dict[str, Any]:
        """The last that the running job said."""
        return self._news

    def interrupt(self) -> None:
        """Ask the running job to end; the second time, kill it."""
        self._interruptions.append(0)

    def _hear(self, news: dict[str, Any]) -> None:
        self._news = news


@contextmanager
def cluster(address: str, settings: Settings) -> Iterator[dict[Place, Runner]]:
    """Connect to a cluster ("local" starts one here) and give a runner for each of its cards, or of
    its nodes' processors.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("--ray needs Ray: pip install 'archbench[ray]'") from None
    if ":" in settings.device:
        raise UsageError(
            f"device {settings.device}: a cluster numbers its cards itself; give --device cuda"
        )
    _check_listening(address)
    variables = {name: value for name, value in os.environ.items() if name.startswith("ARCHBENCH_")}
    try:
        ray.init(
            address,
            runtime_env={
                "env_vars": {**variables, "PYTHONSAFEPATH": "1"},
                "worker_process_setup_hook": f"{__name__}.{load.__name__}",
            },
            include_dashboard=False if address == "local" else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"no Ray cluster answers at {address}: {str(error).splitlines()[0]}"
        ) from None
    try:
        yield _runners(_actors(settings))
    finally:
        ray.shutdown()


def load() -> None:
    """Have a process of Ray load this module, and `PATH` with it, before the driver's folder is on
    its path.
    """


def _check_listening(address: str) -> None:
    """Raise UsageError at once where nothing listens; Ray itself would try for minutes."""
    match = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address)
    if not match:
        return
    try:
        socket.create_connection((match[1], int(match[2])), timeout=CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster answers at {address}: {error}") from None


def _actors(settings: Settings) -> list[Any]:
    """Start an actor for each card of the cluster, or for each node where the jobs are the
    processors'.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    cards = sum(int(node["Resources"].get("GPU", 0)) for node in nodes)
    if settings.device == "cuda" and not cards:
        raise UsageError("device cuda: the cluster has no GPU")
    kind: Literal["cpu", "cuda"] = "cuda" if cards and settings.device != "cpu" else "cpu"
    actors = []
    for number, node in enumerate(nodes, start=1):
        cores = int(node["Resources"].get("CPU", 0))
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        reserved = partial(
            ray.remote(Supervisor).options,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=3,
            scheduling_strategy=there,
        )
        if kind == "cpu" and cores:
            actors.append(reserved(num_cpus=cores, num_gpus=0).remote(kind, f"node {number}"))
        elif kind == "cuda":
            jobs = min(int(node["Resources"].get("GPU", 0)), max(1, cores // CORES_A_CARD))
            actors += [
                reserved(num_cpus=min(CORES_A_CARD, cores), num_gpus=1).remote(
                    kind, f"node {number} card {card}"
                )
                for card in range(jobs)
            ]
    if not actors:
        raise UsageError("the cluster has no processors to run jobs on")
    return actors


def _runners(actors: list[Any]) -> dict[Place, Runner]:
    import ray

    try:
        places = ray.get([actor.place.remote() for actor in actors], timeout=WAIT_S)
    except ray.exceptions.GetTimeoutError:
        raise UsageError(
            f"the cluster is in use: it did not give whole nodes or cards within {WAIT_S:g} s"
        ) from None
    except ray.exceptions.RayActorError as error:
        why = str(error).strip().splitlines()[-1]
        raise UsageError(f"a node of the cluster cannot be used: {why}") from None
    return {place: partial(_run, actor) for place, actor in zip(places, actors, strict=True)}


def _run(actor: Any, job: Job, keep: Keep, watch: Watch) -> Record:
    """Have an actor run a job, pass on what it says, and keep the record; an actor that is gone is
    a record too.
    """
    import ray

    try:
        answer = _awaited(actor, actor.measure.remote(job), watch)
    except ray.exceptions.RayError as error:
        # What the actor itself raised.
        if isinstance(cause := getattr(error, "cause", None), UsageError):
            raise cause from None
        reason = Cause(
            Reason.NODE_LOST,
            "",
            f"the cluster lost the node or its process: {str(error).strip().splitlines()[0]}",
        )
        lost = Record(
            job.spec,
            job.settings,
            Status.ERROR,
            reason,
            environment=host.fingerprint(),
            run_id=job.run_id,
        )
        return keep(replace(lost, conditions=job.conditions), None)
    record = read_record(answer.record, warn_on_stderr)
    if answer.refused:
        raise RefusedError(record)
    if not answer.samples:
        return keep(record, None)
    with job_folder() as folder:
        samples = folder / "samples.npz"
        samples.write_bytes(answer.samples)
        return keep(record, samples)


def _awaited(actor: Any, answer: Any, watch: Watch) -> Answer:
    import ray

    last: dict[str, Any] = {}
    passed_on = 0
    is_there = False
    while not is_there:
        is_there = bool(ray.wait([answer], timeout=POLL_S)[0])
        while passed_on < len(watch.interruptions or ()):
            actor.interrupt.remote()
            passed_on += 1
        news = ray.get(actor.news.remote())
        if news and news != last:
            last = news
            watch.on_progress(news)
    awaited: Answer = ray.get(answer)
    return awaited


def _pack(record: Record, samples: Path) -> Answer:
    return Answer(record.to_dict(), samples.read_bytes() if samples.exists() else b"")


def _card(name: str) -> Place:
    """The card that Ray gave this actor, by the UUID that its number has with the driver."""
    import ray

    (index,) = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    # Where CUDA_VISIBLE_DEVICES names cards, or slices of one (MIG), Ray hands these names on
    # (ray-project/ray, python/ray/_private/accelerators/nvidia_gpu.py).
    card = NvmlCard(index=int(index)) if index.isdigit() else NvmlCard(index)
    model, uuid = card.name(), card.uuid()
    if not model or not uuid:
        raise UsageError(f"card {index} of {name} cannot be asked for its name: {card.why_not}")
    return Place(name, "cuda", model, uuid, variables=only(uuid))
