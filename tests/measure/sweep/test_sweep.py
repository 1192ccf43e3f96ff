"""What is planned, in which order, where, and what becomes of it when jobs fail, cards are lost and
users interrupt.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from archbench import __version__
from archbench.measure.job.supervisor import Job, RefusedError, Watch
from archbench.measure.sweep import plans
from archbench.measure.sweep.places import Place
from archbench.measure.sweep.plans import (
    Forecast,
    Keep,
    Order,
    Queue,
    counted,
    new_run_id,
    part,
    plan,
)
from archbench.measure.sweep.queues import Event, count, run
from archbench.reasons import Reason, Status
from archbench.records import Cause, Record, Store
from archbench.settings import QUICK, Settings
from archbench.spec import Spec, UsageError
from archbench.zoo.catalogue import resolve

SPECS = [resolve("resnet18", size=side).spec for side in (32, 64, 96, 128, 160)]
HERE = Place("cpu", "cpu", "A CPU", host="here")
CARDS = [Place(f"cuda:{i}", "cuda", "A card", f"GPU-{i}", host="here") for i in range(2)]
ORDER = Order(repeats=3, seed=7, run_id="a run")


def environment(place: Place) -> dict[str, Any]:
    return {
        "host": place.host,
        "device": place.name,
        "device_name": place.device_name,
        "uuid": place.uuid.removeprefix("GPU-"),
    }


def done(spec: Spec, status: str = "ok", place: Place = HERE, **changes: Any) -> Record:
    reason = None if status == "ok" else Cause(Reason("a_code"))
    return replace(
        Record(spec, QUICK, Status(status), reason, environment=environment(place)), **changes
    )


class Jobs:
    """Stands for the child processes: ends each job as it is told to, and remembers what it was
    given.
    """

    def __init__(self, place: Place = HERE, **endings: Any) -> None:
        self.place, self.endings, self.given = place, endings, []

    def __call__(self, job: Job, keep: Keep, watch: Watch) -> Record:
        self.given.append(job)
        watch.on_progress({"phase": "build"})
        ending = self.endings.get(job.spec.size, "ok")
        if callable(ending):
            ending = ending(job, watch)
        status, _, code = ending.partition(" ")
        record = Record(
            job.spec,
            job.settings,
            Status(status),
            Cause(Reason(code or status), "build") if status != "ok" else None,
        )
        record = replace(
            record,
            environment=environment(self.place),
            run_id=job.run_id,
            conditions=dict(job.conditions),
        )
        return keep(record, None)


def planned(
    runners: dict[Place, Any], records: list[Record] | None = None, order: Order = ORDER
) -> list[Queue]:
    return plan([(spec, QUICK) for spec in SPECS], runners, order, records or [])


def swept(queues: list[Queue], store: Store, interruptions: list[int] | None = None) -> list[Event]:
    return list(run(queues, store.append, [] if interruptions is None else interruptions))


def test_every_network_has_its_repeats_in_shuffled_rounds_and_never_twice_in_a_row() -> None:
    for seed in range(50):
        (queue,) = planned({HERE: Jobs()}, order=replace(ORDER, seed=seed))
        specs = [job.spec for job in queue.jobs]
        assert all(Counter(specs[begin : begin + 5]) == Counter(SPECS) for begin in (0, 5, 10))
        assert all(one != other for one, other in pairwise(specs))


def test_the_engines_of_a_network_follow_one_another_in_every_round() -> None:
    engines = [replace(QUICK, engine=name) for name in ("eager", "onnxruntime", "openvino")]
    tasks = [(spec, way) for spec in SPECS for way in engines]
    for seed in range(20):
        (queue,) = plan(tasks, {HERE: Jobs()}, replace(ORDER, seed=seed), [])
        done = [(job.spec, job.settings) for job in queue.jobs]
        assert all(Counter(done[at : at + 15]) == Counter(tasks) for at in (0, 15, 30))
        groups = [done[at : at + 3] for at in range(0, 45, 3)]
        assert all(len({spec for spec, _ in group}) == 1 for group in groups)
        assert all(one[0][0] != other[0][0] for one, other in pairwise(groups))
        assert len({group[0][1] for group in groups}) > 1


def test_a_record_is_of_its_own_engine_alone() -> None:
    engines = [replace(QUICK, engine=name) for name in ("eager", "openvino")]
    tasks = [(spec, way) for spec in SPECS[:2] for way in engines]
    records = [done(SPECS[0], settings=engines[1]) for _ in range(2)] + [done(SPECS[1])]
    (queue,) = plan(tasks, {HERE: Jobs()}, ORDER, records)
    assert Counter((job.spec, job.settings.engine) for job in queue.jobs) == {
        (SPECS[0], "eager"): 3,
        (SPECS[0], "openvino"): 1,
        (SPECS[1], "eager"): 2,
        (SPECS[1], "openvino"): 3,
    }


def test_the_engines_of_a_network_stay_on_one_card() -> None:
    tasks = [(spec, replace(QUICK, engine=name)) for spec in SPECS for name in ("eager", "compile")]
    queues = plan(tasks, {card: Jobs(card) for card in CARDS}, ORDER, [])
    left, right = ({job.spec for job in queue.jobs} for queue in queues)
    assert left | right == {*SPECS}
    assert not left & right


def test_the_order_is_the_seed_s_and_records_say_both() -> None:
    (first,), (again,) = planned({HERE: Jobs()}), planned({HERE: Jobs()})
    (other,) = planned({HERE: Jobs()}, order=replace(ORDER, seed=8))
    assert first.jobs == again.jobs
    assert [job.spec for job in first.jobs] != [job.spec for job in other.jobs]
    assert [job.conditions["order"] for job in first.jobs] == list(range(1, 16))
    assert {job.conditions["order_seed"] for job in first.jobs} == {7}


def test_shards_are_a_partition() -> None:
    for parts in range(1, 8):
        shards = [list(part(SPECS, index, parts)) for index in range(1, parts + 1)]
        assert Counter(spec for one in shards for spec in one) == Counter(SPECS)


def test_results_of_any_kind_are_not_run_again_and_what_was_broken_off_is() -> None:
    records = [done(SPECS[0]) for _ in range(3)] + [
        done(SPECS[1], status) for status in ("oom", "timeout", "error")
    ]
    records += [done(SPECS[2], status) for status in ("interrupted", "skipped")] + [done(SPECS[3])]
    (queue,) = planned({HERE: Jobs()}, records)
    assert Counter(job.spec for job in queue.jobs) == {SPECS[2]: 3, SPECS[3]: 2, SPECS[4]: 3}
    assert len(queue.done) == 7


@pytest.mark.parametrize("code", ["gpu_lost", "node_lost", "temporary_full"])
def test_what_the_machine_broke_off_is_no_result(code: str) -> None:
    """A past bug: after a full disk or a lost card, resuming left out what was lost with it."""
    broken = done(SPECS[0], "error", reason=Cause(Reason(code)))
    its_own = done(SPECS[1], "error", reason=Cause(Reason("ValueError")))
    (queue,) = planned({HERE: Jobs()}, [broken, its_own], replace(ORDER, repeats=1))
    left = {job.spec for job in queue.jobs}
    assert SPECS[0] in left
    assert SPECS[1] not in left


def test_what_was_measured_of_other_code_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """A past bug: the networks of a plug-in keep their names when it is edited."""
    monkeypatch.setattr(plans, "network_hash", lambda spec: "new")
    made_of = [
        done(spec, environment=environment(HERE) | {"network_hash": code})
        for spec, code in zip(SPECS, ("new", "old"), strict=False)
    ]
    (queue,) = planned({HERE: Jobs()}, made_of, replace(ORDER, repeats=1))
    left = {job.spec for job in queue.jobs}
    assert (SPECS[0] in left, SPECS[1] in left) == (False, True)
    only = [replace(each, settings=None) for each in made_of]
    kept = [replace(e, environment=e.environment | {"archbench": __version__}) for e in only]
    assert counted(SPECS, kept) == kept[:1]


def test_a_result_counts_where_settings_and_device_are_the_same() -> None:
    same = [
        done(SPECS[0], settings=replace(QUICK, deadline_s=5.0)),
        done(SPECS[1], settings=replace(QUICK, device="cpu")),
    ]
    crashed = done(SPECS[2], "error", environment={"host": "here"})
    others = [
        done(SPECS[3], settings=Settings()),
        done(SPECS[3], settings=None),
        done(SPECS[3], place=replace(HERE, device_name="Another")),
        done(SPECS[3], place=CARDS[0]),
        done(SPECS[3], "error", environment={"host": "there"}),
        done(replace(SPECS[3], batch=2)),
    ]
    (queue,) = planned({HERE: Jobs()}, [*same, crashed, *others], replace(ORDER, repeats=1))
    assert Counter(job.spec for job in queue.jobs) == Counter(SPECS[3:])


def test_the_repeats_of_a_network_stay_on_one_card_and_on_the_one_that_has_the_first() -> None:
    queues = planned(dict.fromkeys(CARDS, Jobs()), [done(SPECS[0], place=CARDS[1])])
    on = [Counter(job.spec for job in queue.jobs) for queue in queues]
    assert on[0] == {SPECS[2]: 3, SPECS[4]: 3}
    assert on[1] == {SPECS[0]: 2, SPECS[1]: 3, SPECS[3]: 3}


def test_failures_are_rows_and_the_sweep_goes_on(tmp_path: Path) -> None:
    store = Store(tmp_path)
    jobs = Jobs(**{"32x32": "oom", "64x64": "error killed", "96x96": "timeout deadline"})
    events = swept(planned({HERE: jobs}, order=replace(ORDER, repeats=1)), store)
    ended = [event.record for event in events if event.record]
    assert Counter(record.status for record in ended) == {
        "oom": 1,
        "error": 1,
        "timeout": 1,
        "ok": 2,
    }
    assert {record.record_id for record in store.read()} == {record.record_id for record in ended}
    assert {record.run_id for record in store.read()} == {"a run"}
    assert planned({HERE: jobs}, store.read(), replace(ORDER, repeats=1))[0].jobs == ()


def test_each_job_begins_makes_progress_and_ends_in_turn(tmp_path: Path) -> None:
    events = swept(planned({HERE: Jobs()}, order=replace(ORDER, repeats=1)), Store(tmp_path))
    assert [(bool(event.news), event.record is not None) for event in events] == [
        (False, False),
        (True, False),
        (False, True),
    ] * 5


def test_a_network_that_cannot_be_measured_so_is_a_row(tmp_path: Path) -> None:
    def refuse(job: Job, watch: Watch) -> str:
        raise RefusedError(
            Record(
                job.spec,
                job.settings,
                Status.ERROR,
                Cause(Reason.REFUSED, "build", "two stages are not trained"),
            )
        )

    store = Store(tmp_path)
    events = swept(
        planned({HERE: Jobs(**{"32x32": refuse})}, order=replace(ORDER, repeats=1)), store
    )
    (row,) = [record for record in store.read() if record.status != "ok"]
    assert (row.reason.message, row.run_id, row.conditions["order_seed"]) == (
        "two stages are not trained",
        "a run",
        7,
    )
    assert sum(event.record is not None for event in events) == 5


def test_settings_that_the_device_cannot_have_are_an_error_and_no_row(tmp_path: Path) -> None:
    def refuse(job: Job, watch: Watch) -> str:
        raise RefusedError(
            Record(
                job.spec,
                job.settings,
                Status.ERROR,
                Cause(Reason.REFUSED, "preflight", "tf32 is a CUDA device's"),
            )
        )

    store = Store(tmp_path)
    with pytest.raises(UsageError, match="tf32"):
        swept(planned({HERE: Jobs(**{spec.size: refuse for spec in SPECS})}), store)
    assert store.read() == []


def test_a_lost_card_gets_no_more_jobs_and_the_other_goes_on(tmp_path: Path) -> None:
    lost, well = Jobs(CARDS[0], **{"96x96": "error gpu_lost"}), Jobs(CARDS[1])
    store = Store(tmp_path)
    queues = planned({CARDS[0]: lost, CARDS[1]: well})
    swept(queues, store)
    number = next(i for i, job in enumerate(queues[0].jobs) if job.spec.size == "96x96")
    assert len(lost.given) == number + 1
    assert len(well.given) == len(queues[1].jobs)
    skipped = [record for record in store.read() if record.status == "skipped"]
    assert len(skipped) == len(queues[0].jobs) - len(lost.given)
    assert {record.reason.code for record in skipped} == {"gpu_lost"}
    assert len({record.reason.message for record in skipped}) == 1


def test_an_interruption_lets_the_running_job_end_and_resuming_runs_the_rest_once(
    tmp_path: Path,
) -> None:
    store, interruptions = Store(tmp_path), []

    def interrupt(job: Job, watch: Watch) -> str:
        interruptions.append(signal.SIGINT)
        assert list(watch.interruptions) == interruptions
        return "interrupted"

    order = replace(ORDER, repeats=1)
    (queue,) = planned({HERE: Jobs()}, order=order)
    third = queue.jobs[2].spec
    swept(planned({HERE: Jobs(**{third.size: interrupt})}, order=order), store, interruptions)
    assert [record.status for record in store.read()] == ["ok", "ok", "interrupted"]
    resumed = Jobs()
    swept(planned({HERE: resumed}, store.read(), order), store)
    assert {job.spec for job in resumed.given} == {job.spec for job in queue.jobs[2:]}
    assert Counter(record.spec for record in store.read() if record.status == "ok") == Counter(
        SPECS
    )


def test_two_cards_work_side_by_side(tmp_path: Path) -> None:
    together = threading.Barrier(2, timeout=20)

    def wait(job: Job, watch: Watch) -> str:
        together.wait()
        return "ok"

    runners = {card: Jobs(card, **{spec.size: wait for spec in SPECS}) for card in CARDS}
    queues = plan([(spec, QUICK) for spec in SPECS[:4]], runners, ORDER, [])
    ended = [event.record for event in run(queues, Store(tmp_path).append, []) if event.record]
    assert len(ended) == 12
    assert {record.conditions["busy_cards_beside"] for record in ended} >= {1}


def test_a_listener_that_goes_away_ends_the_jobs(tmp_path: Path) -> None:
    def until_killed(job: Job, watch: Watch) -> str:
        while len(watch.interruptions) < 2:
            pass
        return "interrupted"

    events = run(
        planned({HERE: Jobs(**{spec.size: until_killed for spec in SPECS})}),
        Store(tmp_path).append,
        [],
    )
    next(events)
    events.close()
    assert not any("_work" in thread.name for thread in threading.enumerate())


def test_the_forecast_adds_the_calls_that_a_job_makes_where_their_time_is_predicted() -> None:
    (queue,) = planned({HERE: Jobs()}, order=replace(ORDER, repeats=1))
    slow = queue.jobs[0]
    forecast = Forecast([queue], [], lambda place, job: 5e3 if job is slow else None)
    each_s = [forecast.job_s((job.spec, job.settings)) for job in queue.jobs]
    assert each_s[0] - each_s[1] == 16 * 5
    assert forecast.predicted == {(slow.spec, slow.settings)}
    assert forecast.left_s == sum(each_s)


def test_the_forecast_begins_with_the_protocol_s_budget_and_learns() -> None:
    queues = planned({HERE: Jobs()}, order=replace(ORDER, repeats=1))
    forecast = Forecast(queues, [])
    whole, (first, *_) = forecast.left_s, queues[0].jobs
    assert whole == pytest.approx(5 * forecast.job_s((first.spec, first.settings)))
    for _ in range(2):
        forecast.ended(HERE, 2 * whole / 5)
    assert forecast.left_s == pytest.approx(2 * whole * 3 / 5)


def test_the_forecast_follows_jobs_that_use_little_of_their_budget() -> None:
    long = replace(QUICK, budget_s=600.0, target=0.03)
    queues = plan([(spec, long) for spec in SPECS[:4]], {HERE: Jobs()}, ORDER, [])
    forecast = Forecast(queues, [])
    assert forecast.left_s > 12 * 600
    forecast.ended(HERE, 20.0)
    assert forecast.left_s == pytest.approx(11 * 20)


def test_a_job_that_fails_at_once_says_nothing_of_others() -> None:
    queues = planned({HERE: Jobs()}, order=replace(ORDER, repeats=2))
    forecast = Forecast(queues, [])
    whole = forecast.left_s
    forecast.ended(HERE, 1.0, is_ok=False)
    assert forecast.left_s == pytest.approx(whole * 8 / 10 + 1.0)


def test_the_forecast_knows_what_the_same_job_took_here() -> None:
    queues = planned({HERE: Jobs()}, order=replace(ORDER, repeats=1))
    forecast = Forecast(
        queues,
        [
            done(SPECS[0], phases={"build": 60.0, "latency": 40.0}),
            done(SPECS[1], place=CARDS[0], phases={"build": 9.0}),
        ],
    )
    known = {job.spec: forecast.job_s((job.spec, job.settings)) for job in queues[0].jobs}
    assert known[SPECS[0]] == pytest.approx(100, abs=10)
    assert known[SPECS[1]] == known[SPECS[2]]


def test_run_ids_differ() -> None:
    assert len({new_run_id() for _ in range(50)}) > 40


def test_counting_makes_a_row_of_each_network_and_of_what_cannot_be_counted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    impossible = replace(resolve("resnet18").spec, backbone="no-such-network")
    records = list(count([SPECS[0], impossible, SPECS[1]], store.append, "a run", []))
    assert [record.status for record in records] == ["ok", "error", "ok"]
    assert [(record.settings, record.run_id) for record in records] == [(None, "a run")] * 3
    assert records[0].counted["params"] == 11_689_512
    assert "no-such-network" in records[1].reason.message
    assert counted([*SPECS[:3], impossible], store.read()) == [records[0], records[2], records[1]]
    other_version = replace(records[0], environment={"archbench": "0.0.0"})
    assert counted(SPECS, [other_version]) == []


def test_an_interruption_ends_the_counting(tmp_path: Path) -> None:
    interruptions: list[int] = []
    for _ in count(SPECS, Store(tmp_path).append, "", interruptions):
        interruptions.append(signal.SIGINT)
    assert len(Store(tmp_path).read()) == 1


def test_every_job_of_a_card_is_to_begin_as_cool_as_the_first(tmp_path: Path) -> None:
    class Warm(Jobs):
        def __call__(self, job: Job, keep: Keep, watch: Watch) -> Record:
            def noted(record: Record, samples: Path | None) -> Record:
                begun = {"start_temperature_c": 40.0 + 5 * len(self.given)}
                return keep(replace(record, conditions={**record.conditions, **begun}), samples)

            return super().__call__(job, noted, watch)

    cards = [Warm(place) for place in CARDS]
    swept(planned(dict(zip(CARDS, cards, strict=True))), Store(tmp_path))
    for card in cards:
        assert card.given[0].cool_to_c is None
        assert {job.cool_to_c for job in card.given[1:]} == {45.0}
    jobs = Jobs()
    swept(planned({HERE: jobs}), Store(tmp_path / "cpu"))
    assert {job.cool_to_c for job in jobs.given} == {None}
