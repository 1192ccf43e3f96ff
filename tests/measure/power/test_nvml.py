"""What the driver says of a card, through NVIDIA's binding and the stub of its library."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from archbench import cache
from archbench.measure.power.nvml import NvmlCard
from archbench.measure.power.nvml_meter import KEPT, prior

ANSWERS = {
    "name": "Stub GPU",
    "uuid": "GPU-stub",
    "driver": "999.1",
    "capability": 8.6,
    "used_bytes": 1 << 30,
    "computing_count": 0,
    "utilisation_percent": 0,
    "sm_clock_mhz": 1400,
    "memory_clock_mhz": 7000,
    "temperature_c": 50,
    "event_reasons": 0,
    "performance_state": 2,
    "power_limit_w": 350.0,
    "mig_enabled": False,
    "why_not": None,
    "retries": 0,
}


def test_a_card_answers_in_our_units(nvml_stub, child):
    found = child(nvml_stub(STUB_TRACE="0:123.456", STUB_INSTANT="20,20"), "card")
    assert {name: found[name] for name in ANSWERS} == ANSWERS
    assert found["watts"] == {"instant": [123.456, 0], "usage": [123.456, 0]}
    assert list(found["sensors"]) == ["instant", "usage"]
    assert found["joules"]["counter"] >= 1000


UNAVAILABLE = {
    "the driver is not loaded": ("nvmlInitWithFlags=9", "driver_not_loaded"),
    "library and driver differ": ("nvmlInitWithFlags=18", "driver_library_mismatch"),
    "no permission to open": ("nvmlInitWithFlags=4", "no_permission"),
    "a library that says it is none": ("nvmlInitWithFlags=12", "nvml_library_missing"),
    "a library too old to begin with": ("nvmlInitWithFlags=13", "driver_too_old"),
    "an unknown code": ("nvmlInitWithFlags=77", "nvml_error_77"),
    "a time-out for ever": ("nvmlInitWithFlags=10", "nvml_transient"),
    "an unknown error for ever": ("nvmlInitWithFlags=999", "nvml_transient"),
    "no data for ever": ("nvmlDeviceGetHandleByIndex_v2=21", "nvml_transient"),
}


@pytest.mark.parametrize(("fail", "reason"), UNAVAILABLE.values(), ids=UNAVAILABLE)
def test_a_card_that_cannot_be_asked_says_why_and_answers_none(nvml_stub, child, fail, reason):
    found = child(nvml_stub(STUB_FAIL=fail), "card")
    assert (found["why_not"], found["card_why_not"]) == (reason, reason)
    assert [found[name] for name in ("name", "used_bytes", "computing_count", "driver")] == [
        None
    ] * 4


POWERLESS = {
    "no source is supported": ({"STUB_USAGE": "none"}, "not_supported"),
    "no permission to read power": ({"STUB_FAIL": "nvmlDeviceGetPowerUsage=4"}, "no_permission"),
    "no symbol for power": ({"STUB_FAIL": "nvmlDeviceGetPowerUsage=13"}, "driver_too_old"),
    "power that is never there in time": (
        {"STUB_FAIL": "nvmlDeviceGetPowerUsage=10"},
        "nvml_transient",
    ),
    "a card in slices": ({"STUB_MIG": "1"}, "mig"),
}


@pytest.mark.parametrize(("variables", "reason"), POWERLESS.values(), ids=POWERLESS)
def test_a_card_without_power_says_why_and_answers_the_rest(nvml_stub, child, variables, reason):
    found = child(nvml_stub(**variables), "card")
    assert (found["why_not"], found["card_why_not"]) == (reason, None)
    assert (found["used_bytes"], found["computing_count"]) == (1 << 30, 0)


@pytest.mark.parametrize("code", [15, 16])
@pytest.mark.parametrize(
    "function", ["nvmlInitWithFlags", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetMemoryInfo"]
)
def test_a_lost_card_is_no_missing_figure(nvml_stub, child, function, code):
    assert str(code) in child(nvml_stub(STUB_FAIL=f"{function}={code}"), "card")["lost"]


def test_a_library_that_does_not_load_is_missing(nvml_stub, child, tmp_path):
    (tmp_path / "libnvidia-ml.so.1").write_text("no library")
    assert child(nvml_stub(str(tmp_path)), "card")["why_not"] == "nvml_library_missing"


def test_a_binding_that_is_not_installed_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    card = NvmlCard()
    assert (card.why_not, card.used_bytes()) == ("nvml_binding_missing", None)
    assert "nvidia-ml-py" in card.message


def test_the_unofficial_binding_is_detected_and_named(monkeypatch, tmp_path):
    """It is a package and hides NVIDIA's module of the same name."""
    (tmp_path / "pynvml").mkdir()
    (tmp_path / "pynvml" / "__init__.py").touch()
    metadata = tmp_path / "pynvml-11.5.3.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pynvml\nVersion: 11.5.3\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    card = NvmlCard()
    assert card.why_not == "nvml_binding_missing"
    assert "pynvml 11.5.3" in card.message
    monkeypatch.delitem(sys.modules, "pynvml")


def test_what_passes_is_asked_again_and_counted(nvml_stub, child):
    found = child(nvml_stub(STUB_FAIL="nvmlDeviceGetMemoryInfo=10@0+3"), "card")
    assert (
        found["used_bytes"],
        found["retries"],
        found["failures"].get("nvmlDeviceGetMemoryInfo"),
    ) == (1 << 30, 3, None)


def test_what_does_not_pass_is_none_after_three_more_tries(nvml_stub, child):
    found = child(nvml_stub(STUB_FAIL="nvmlDeviceGetMemoryInfo=999@0+4"), "card")
    assert (
        found["used_bytes"],
        found["retries"],
        found["failures"]["nvmlDeviceGetMemoryInfo"],
    ) == (None, 3, "nvml_transient")


def test_what_never_passes_is_not_asked_again_and_what_passes_still_is(nvml_stub, child):
    """A past bug: WSL2 answers some with 999 for ever, and each look took all tries anew."""
    never = "nvmlDeviceGetUtilizationRates=999,nvmlDeviceGetClockInfo=999@0+4"
    found = child(nvml_stub(STUB_FAIL=never), "card")
    assert (found["utilisation_percent"], found["sm_clock_mhz"]) == (None, None)
    assert (found["memory_clock_mhz"], found["retries"]) == (7000, 3 + 3)


def test_processes_are_listed_though_their_ids_are_the_hosts_and_their_memory_is_not_told(
    nvml_stub, child
):
    found = child(nvml_stub(STUB_PROCESSES="2,1"), "card")
    assert found["computing_count"] == 2
    assert [process["held_bytes"] for process in found["use"]["computing"]] == [None, None]
    assert len(found["use"]["drawing"]) == 1
    assert (found["use"]["percent"], found["use"]["used_bytes"]) == (0, 1 << 30)
    told = child(nvml_stub(STUB_PROCESSES="1,0", STUB_PROCESS_BYTES="4096"), "card")["use"]
    assert told["computing"] == [{"pid": 4100000, "held_bytes": 4096}]


@pytest.mark.parametrize(("function", "kind"), [("Compute", "computing"), ("Graphics", "drawing")])
def test_a_list_of_processes_that_cannot_be_read_is_no_empty_list(nvml_stub, child, function, kind):
    name = f"nvmlDeviceGet{function}RunningProcesses"
    found = child(nvml_stub(STUB_FAIL=f"{name}_v3=4", STUB_PROCESSES="1,1"), "card")
    assert (found["use"][kind], found["failures"][name]) == (None, "no_permission")
    assert len(found["use"]["drawing" if kind == "computing" else "computing"]) == 1


@pytest.mark.parametrize("function", ["Compute", "Graphics"])
def test_a_driver_older_than_the_list_of_processes_is_no_error(nvml_stub, child, function):
    """A past bug: the binding raises an error of another kind there."""
    name = f"nvmlDeviceGet{function}RunningProcesses"
    found = child(nvml_stub(STUB_FAIL=f"{name}_v3=13"), "card")
    assert (found["failures"][name], found["why_not"]) == ("driver_too_old", None)


def test_power_that_only_the_module_has_says_so(nvml_stub, child):
    found = child(
        nvml_stub(STUB_USAGE="none", STUB_INSTANT="20,20", STUB_INSTANT_SCOPE="1"), "card"
    )
    assert (found["why_not"], list(found["sensors"]), found["conditions"]["power_scope"]) == (
        None,
        ["instant"],
        "module",
    )


def test_a_counter_without_its_symbol_leaves_power(nvml_stub, child):
    found = child(nvml_stub("without_counter"), "card")
    assert (
        found["why_not"],
        found["joules"],
        found["conditions"]["source_failures"]["counter"],
    ) == (None, {}, "driver_too_old")


def test_a_card_is_found_by_uuid_and_a_slice_by_its_own(nvml_stub, child):
    assert child(nvml_stub(), "card", uuid="GPU-stub")["why_not"] is None
    assert child(nvml_stub(), "card", uuid="GPU-slice")["why_not"] == "mig"
    assert child(nvml_stub(), "card", uuid="GPU-other")["why_not"] == "nvml_error_6"


def test_what_a_probe_found_is_known_of_this_card_and_driver_alone(
    nvml_stub, child, tmp_path, monkeypatch
):
    assert child(nvml_stub(), "card")["sensors"]["usage"] == {
        "refresh_s": 0.02,
        "averaging_s": 1.0,
        "origin": "probe",
    }
    other = child(nvml_stub(STUB_DRIVER="999.2"), "card")
    assert (other["sensors"]["usage"]["origin"], other["probed"]) == ("prior", False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for broken in ({"usage": "fast"}, {"usage": 99.0}):
        cache.write(KEPT, {"uuid": "GPU-stub", "driver": "999.1"}, broken)
        assert (
            child(nvml_stub(XDG_CACHE_HOME=str(tmp_path)), "card")["sensors"]["usage"]["origin"]
            == "prior"
        )


@pytest.mark.parametrize(
    ("capability", "usage", "instant"),
    [
        (5.2, (0.1, 0.1), (0.1, 0.1)),
        (6.1, (0.02, 0.01), (0.02, 0.01)),
        (7.0, (0.02, 0.01), (0.02, 0.01)),
        (7.5, (0.1, 0.1), (0.1, 0.1)),
        (8.0, (0.1, 0.025), (0.1, 0.025)),
        (8.6, (0.1, 1.0), (0.1, 0.1)),
        (8.9, (0.1, 1.0), (0.1, 0.1)),
        (9.0, (0.1, 1.0), (0.1, 0.025)),
        (12.0, (0.1, 1.0), (0.1, 0.025)),
        (None, (0.1, 1.0), (0.1, 0.025)),
        (3.5, (0.1, 1.0), (0.1, 0.025)),
    ],
)
def test_the_known_sensors_by_compute_capability(capability, usage, instant):
    found = {source: prior(capability, source) for source in ("usage", "instant")}
    assert {name: (sensor.refresh_s, sensor.averaging_s) for name, sensor in found.items()} == {
        "usage": usage,
        "instant": instant,
    }


def test_the_engine_only_reads():
    """No call that sets clocks, limits, modes or anything else of a card."""
    source = (Path(__file__).parents[3] / "archbench" / "measure" / "power" / "nvml.py").read_text()
    called = set(re.findall(r"nvml((?:Device|System)\w+)", source))
    assert len(called) > 15
    assert [name for name in called if not re.match("(Device|System)Get", name)] == []
