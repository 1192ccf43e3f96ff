"""The worker's parts, and whole jobs on the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from archbench import build
from archbench.measure.job.findings import Report
from archbench.measure.job.result import Outcome
from archbench.measure.job.supervisor import run_job
from archbench.measure.job.weights import calibrate, initialise
from archbench.measure.job.worker import conclude, is_out_of_memory
from archbench.measure.job.workload import with_weights
from archbench.measure.machine import host
from archbench.measure.machine.device import DEVICE_MEMORY
from archbench.measure.machine.devices import open_device
from archbench.measure.power.rapl import RaplInstrument
from archbench.quantities import about
from archbench.records import Record, Store
from archbench.settings import QUICK, Settings
from archbench.spec import UsageError
from archbench.zoo.catalogue import resolve

FAST = Settings(device="cpu", target=0.5, n_min=3, t_min_s=0.01, budget_s=2)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    """One small classifier, measured for real."""
    folder = tmp_path_factory.mktemp("results")
    return run_job(
        resolve("resnet18", size=64).spec,
        Settings(device="cpu", n_min=20, t_min_s=0.2, budget_s=2),
        Store(folder),
    ), folder


def test_a_measured_record_is_whole(measured):
    record, folder = measured
    assert record.status == "ok"
    assert record.counted["params"] == 11_689_512
    assert Store(folder).read() == [record]
    latency = record.measured["latency_ms"]
    assert latency.protocol == "model"
    assert latency.value == latency.spread["median"] > 0
    phases = ["preflight", "count", "build", "cold", "warmup", "latency", "throughput", "memory"]
    assert list(record.phases) == phases + ([] if RaplInstrument().why_not else ["energy"])


def test_what_was_not_measured_is_null_with_its_reason(measured):
    record, _ = measured
    reasons = {
        name: metric.reason for name, metric in record.measured.items() if metric.value is None
    }
    cpu = ("gpu_ms", "gpu_busy_ms", "graph_latency_ms", "copy_ms", *DEVICE_MEMORY)
    card = (
        "energy_eq2_per_image_j",
        "energy_counter_j",
        "energy_integrated_j",
        "energy_counter_ratio",
    )
    post = ("postprocess_ms", "total_ms", "fps_total")
    host = ("energy_per_image_j", "energy_net_per_image_j", "energy_throughput_img_s")
    power = ("power_mean_w", "power_idle_w", "power_idle_no_context_w")
    why_no_power = RaplInstrument().why_not
    packages = dict.fromkeys((*host, *power), why_no_power) if why_no_power else {}
    assert reasons == dict.fromkeys((*cpu, *card), "cpu_device") | dict.fromkeys(
        post, "no_postprocess"
    ) | packages | dict.fromkeys(about("engine"), "in_torch") | {
        "energy_total_per_image_j": why_no_power or "no_postprocess"
    }


def test_derived_figures_follow_from_the_median(measured):
    record, _ = measured
    seconds = record.value("latency_ms") / 1e3
    assert record.value("fps") == pytest.approx(1 / seconds)
    assert record.value("gmacs_per_s") == pytest.approx(record.counted["macs"] / seconds / 1e9)
    assert record.value("flops_per_s") == pytest.approx(2 * record.counted["macs"] / seconds)


def test_samples_are_stored_in_order_in_nanoseconds(measured):
    record, folder = measured
    with np.load(folder / record.samples) as samples:
        assert set(samples) == {"latency_ns", "started_ns"}
        assert len(samples["latency_ns"]) == record.measured["latency_ms"].spread["n"]
        assert np.median(samples["latency_ns"]) / 1e6 == pytest.approx(
            record.value("latency_ms"), rel=1e-6
        )
        assert (np.diff(samples["started_ns"]) > 0).all()


def test_the_environment_names_the_device_and_the_libraries_but_not_the_host(measured):
    record, _ = measured
    environment = record.environment
    assert environment["device"] == "cpu"
    assert environment["torch"] == torch.__version__
    assert environment["threads"] == host.usable_cores()
    import platform

    assert platform.node() not in str(record.to_dict())


def test_a_detector_is_timed_with_postprocessing_on_a_stated_load(tmp_path):
    record = run_job(resolve("resnet18", "refinedet", size=128).spec, FAST, Store(tmp_path))
    assert record.status == "ok"
    load = record.conditions["postprocess_load"]
    assert load["candidates"] == record.counted["boxes"] * 80
    assert load["candidates"] > load["above_threshold"] > load["kept"] > 0
    parts = [record.measured[name] for name in ("latency_ms", "postprocess_ms", "total_ms")]
    assert [part.protocol for part in parts] == ["model", "post", "model+post"]
    assert parts[2].spread["mean"] == pytest.approx(
        parts[0].spread["mean"] + parts[1].spread["mean"]
    )


@pytest.mark.slow
def test_precision_format_and_batch_are_taken_and_recorded(tmp_path):
    settings = Settings(
        device="cpu",
        target=0.5,
        n_min=3,
        t_min_s=0.01,
        budget_s=2,
        precision="bf16",
        memory_format="channels_last",
        threads=1,
    )
    record = run_job(resolve("resnet18", size=64, batch=2).spec, settings, Store(tmp_path))
    assert record.status == "ok"
    assert record.settings == settings
    assert record.environment["threads"] == 1
    assert record.value("mem_params_bytes") == 2 * record.counted["params"]


def test_a_failure_in_a_phase_is_a_record_with_the_counts(tmp_path):
    """Pictures vanish between the command line's check and the worker's reading: the pair was fine,
    so this is usage.
    """
    with pytest.raises(UsageError, match="cannot be read"):
        run_job(
            resolve("resnet18", size=64).spec,
            Settings(device="cpu", images=str(tmp_path / "gone")),
            Store(tmp_path / "results"),
        )
    assert Store(tmp_path / "results").read() == []


def test_what_does_not_fit_into_memory_is_oom_and_not_a_smaller_batch(tmp_path):
    # More bytes than there are addresses, so that no kernel grants them.
    record = run_job(resolve("resnet18", batch=4_000_000_000).spec, FAST, Store(tmp_path))
    assert (record.status, record.reason.phase) == ("oom", "build")
    assert record.counted["params"] == 11_689_512
    assert record.spec.batch == 4_000_000_000


def test_memory_that_a_network_of_one_s_own_lacks_is_oom_too(tmp_path):
    """Its errors are told in a line, which says where in its file they were raised."""
    report = Report(tmp_path)
    error = UsageError("nets.py:Net cannot be built: MemoryError (nets.py, line 3)")
    error.__cause__ = MemoryError()
    conclude(report, error, resolve("resnet18").spec)
    assert (report.result.status, report.result.reason.message) == ("oom", str(error))
    error.__cause__ = KeyError("x")
    conclude(report, error, resolve("resnet18").spec)
    assert report.result.outcome == Outcome.REFUSED


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (
            RuntimeError(
                "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
            ),
            True,
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"), False),
    ],
)
def test_libraries_of_a_card_say_that_memory_was_not_enough_in_words_of_their_own(error, is_one):
    assert is_out_of_memory(error) is is_one


def test_a_deadline_leaves_a_record(tmp_path):
    record = run_job(
        resolve("vovnet57", "refinedet512").spec,
        Settings(device="cpu", deadline_s=4),
        Store(tmp_path),
    )
    assert (record.status, record.reason.code) == ("timeout", "deadline")
    assert Store(tmp_path).read() == [record]


def test_maps_of_one_cell_do_not_magnify_other_images():
    """Two values a channel may be nearly equal; the next image's would be divided by next to
    nothing.
    """
    network = build("peleenet", "pelee")
    initialise(network, seed=0)
    generator = torch.Generator().manual_seed(1)
    calibrate(network, torch.randn(2, 3, 304, 304, generator=generator))
    with torch.inference_mode():
        raw = network(torch.randn(1, 3, 304, 304, generator=generator))
    assert all(values.abs().max() < 200 for values in raw)


def test_calibrated_activations_neither_fade_nor_explode():
    network = build("resnet50", size=64)
    initialise(network, seed=0)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    calibrate(network, images)
    with torch.inference_mode():
        maps = network.backbone(images)
        logits = network(images)
    assert 0.1 < maps[-1].std() < 10
    assert logits.std() > 0.01
    assert not network.training
    assert network.backbone.stem[1].momentum == 0.1


@pytest.mark.parametrize(
    "layer",
    [
        torch.nn.Conv2d(256, 256, 3, padding=1),
        torch.nn.Conv2d(256, 256, 3, padding=1, groups=4),
        torch.nn.ConvTranspose2d(256, 256, 2, 2),
        torch.nn.ConvTranspose2d(256, 256, 4, 2, 1),
        torch.nn.Linear(256, 256),
    ],
    ids=str,
)
def test_every_kind_of_layer_doubles_the_variance_for_the_relu_behind_it(layer):
    initialise(layer, seed=0)
    shape = (8, 256) if isinstance(layer, torch.nn.Linear) else (1, 256, 24, 24)
    with torch.no_grad():
        out = layer(torch.randn(shape, generator=torch.Generator().manual_seed(1)))
    assert out.var().item() == pytest.approx(2, rel=0.2)


def test_the_seed_fixes_the_weights():
    networks = [build("resnet18") for _ in range(3)]
    for network, seed in zip(networks, (5, 5, 6), strict=True):
        initialise(network, seed)
    first, second, third = (network.backbone.stem[0].weight for network in networks)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_tf32_and_absent_devices_are_usage_errors():
    with pytest.raises(UsageError, match="tf32"):
        open_device(Settings(device="cpu", precision="tf32"))
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no CUDA device"):
            open_device(Settings(device="cuda"))


@pytest.mark.slow
def test_deterministic_algorithms_are_put_in_force_and_read_back(tmp_path):
    record = run_job(
        resolve("resnet18", size=32).spec, replace(FAST, deterministic=True), Store(tmp_path)
    )
    assert (record.status, record.environment["deterministic"]) == ("ok", True)


@pytest.mark.slow
def test_a_compiled_network_is_timed_as_a_whole(tmp_path):
    record = run_job(
        resolve("resnet18", size=32).spec, replace(FAST, engine="compile"), Store(tmp_path)
    )
    if record.status == "error":
        pytest.skip(f"nothing compiles here: {record.reason.message}")
    assert record.measured["backbone_ms"].reason == "one_graph"
    assert record.value("cold_ms") > 10 * record.value("latency_ms")


@pytest.mark.slow
def test_a_process_measured_twice_says_the_same_or_why_not(measured, tmp_path):
    records = [measured[0], run_job(measured[0].spec, measured[0].settings, Store(tmp_path))]
    first, second = (record.value("latency_ms") for record in records)
    flags = {flag for record in records for flag in record.measured["latency_ms"].flags}
    assert abs(first - second) <= 0.2 * min(first, second) or flags & {
        "cpu_contended",
        "ci_not_met",
    }


def test_what_neighbours_of_a_virtual_machine_took_is_kept_and_flagged_beyond_2_percent(measured):
    record = measured[0]
    share = record.conditions["cpu_stolen_share"]
    assert share is None or 0 <= share < 1
    assert ("cpu_stolen" in record.measured["latency_ms"].flags) == (
        (share or 0) > host.STOLEN_SHARE
    )


@pytest.mark.gpu
class TestOnACard:
    settings = Settings(device="cuda", budget_s=5)

    @pytest.fixture(scope="class")
    def record(self, tmp_path_factory):
        return run_job(
            resolve("resnet50").spec, self.settings, Store(tmp_path_factory.mktemp("results"))
        )

    def test_memory_columns_enclose_one_another(self, record):
        assert record.status == "ok"
        allocated, reserved, delta = (
            record.value(f"mem_{name}_bytes")
            for name in ("alloc_peak", "reserved_peak", "device_delta")
        )
        assert record.value("mem_params_bytes") < allocated <= reserved <= delta
        assert record.value("mem_act_peak_bytes") < allocated - record.value("mem_params_bytes")

    def test_the_predicted_peak_is_never_above_the_allocators(self, record):
        """On CUDA the rest, within 5 %, is workspaces; without them both are the same sum of
        tensors.
        """
        assert record.counted["activation_peak_bytes"] <= record.value("mem_act_peak_bytes")

    def test_the_cards_clock_shows_no_more_than_the_hosts(self, record):
        assert 0 < record.value("gpu_ms") <= record.value("latency_ms")
        assert record.value("throughput_img_s") * record.value("latency_ms") / 1e3 >= 0.95

    def test_settings_are_in_force(self, record):
        assert record.environment["fp32_precision_conv"] == "ieee"
        assert record.environment["cudnn_benchmark"] is True

    def test_a_captured_network_is_no_slower(self, record, tmp_path):
        graph = run_job(
            resolve("resnet50").spec, replace(self.settings, cuda_graph=True), Store(tmp_path)
        )
        assert graph.status == "ok"
        assert graph.value("latency_ms") <= 1.05 * record.value("latency_ms")
        assert graph.measured["backbone_ms"].reason == "one_graph"

    def test_a_network_that_waits_for_its_own_proposals_is_not_captured(self, tmp_path):
        with pytest.raises(UsageError, match="cannot hold"):
            run_job(
                resolve("mobilenet", "faster-rcnn300").spec,
                replace(self.settings, cuda_graph=True),
                Store(tmp_path),
            )

    def test_deterministic_cudnn_tries_nothing_out(self, tmp_path):
        record = run_job(
            resolve("resnet18").spec, replace(self.settings, deterministic=True), Store(tmp_path)
        )
        assert (record.status, record.environment["cudnn_benchmark"]) == ("ok", False)

    def test_what_does_not_fit_is_oom_and_the_next_job_succeeds(self, tmp_path):
        assert (
            run_job(resolve("vgg16", batch=2**14).spec, self.settings, Store(tmp_path)).status
            == "oom"
        )
        assert run_job(resolve("resnet18").spec, self.settings, Store(tmp_path)).status == "ok"

    def test_a_training_step_needs_more_memory_than_a_forward_pass(self, record, tmp_path):
        step = run_job(
            resolve("resnet50", mode="train", batch=1).spec, self.settings, Store(tmp_path)
        )
        assert step.value("mem_act_peak_bytes") > record.value("mem_act_peak_bytes")

    def test_energy_of_twice_the_images_is_twice_as_much(self, tmp_path):
        one, two = (
            run_job(
                resolve("resnet50", batch=batch).spec,
                replace(QUICK, device="cuda"),
                Store(tmp_path),
            )
            for batch in (32, 64)
        )
        assert one.conditions["energy"]["sensors"]["usage"]["refresh_s"] > 0
        assert one.value("energy_counter_ratio") == pytest.approx(1, rel=0.1)
        assert two.value("energy_per_image_j") == pytest.approx(
            one.value("energy_per_image_j"), rel=0.05
        )


POSITIONS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.places = nn.Parameter(torch.randn(4))
        self.layer = nn.Conv2d(3, 4, 1)

    def forward(self, images):
        return self.layer(images).mean((2, 3)) + self.places
"""


def test_the_seed_fixes_what_a_network_of_ones_own_draws(tmp_path, monkeypatch):
    """A past bug: positions and embeddings were other ones in every process."""
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(POSITIONS, encoding="utf-8")
    spec = resolve("nets.py:Net", size=8).spec

    def drawn(seed):
        torch.rand(seed + 1)
        network, _ = with_weights(spec, Settings(seed=seed), torch.device("cpu"), {})
        return network.places.detach()

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))
