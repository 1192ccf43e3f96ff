"""`archbench doctor` from outside on this machine, and what it judges of made machines."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from archbench.cli.main import run
from archbench.measure.machine.doctor import Ability, judge
from archbench.measure.power import nvml
from archbench.report.tables.doctor import abilities_table, machine_tables

CARD = {
    "name": "Example GPU",
    "uuid": "GPU-1",
    "capability": 8.6,
    "driver": "999.1",
    "power_limit_w": 350.0,
    "default_power_limit_w": 350.0,
    "application_clock_mhz": 1410,
    "application_memory_clock_mhz": 6900,
    "ecc": None,
    "mig": False,
    "persistence": 1,
    "compute_mode": 0,
    "vbios": "1",
    "memory_bytes": 8 << 30,
    "memory_used_bytes": 1 << 30,
    "processes": 0,
    "drawing": 0,
    "utilisation_percent": 0,
    "sm_clock_mhz": 1400,
    "temperature_c": 50,
    "performance_state": 2,
    "events": ["idle"],
    "power": {
        "why_not": "",
        "message": "",
        "power_scope": "gpu",
        "source_failures": {},
        "systematic_pct": 5.0,
        "counter": True,
        "counter_seen_refresh_s": 0.02,
        "sensors": {"usage": {"refresh_s": 0.1, "origin": "prior", "seen_refresh_s": None}},
    },
    "failures": {},
}
FACTS: dict[str, Any] = {
    "libraries": {
        "timm": {"version": "1", "networks": 7, "problem": "", "install": "pip install timm"},
    },
    "engines": [
        {
            "name": name,
            "on_cpu": ["fp32"],
            "on_cuda": [],
            "versions": {name: "3.1"},
            "why_not": "",
            "install": f"pip install {name}",
        }
        for name in ("eager", "compile", "openvino")
    ],
    "host": {
        "archbench": "1",
        "python": "3.12",
        "os": "Linux 6",
        "cpu": "Example CPU",
        "cores": 4,
        "affinity": [0, 1, 2, 3, 4, 5, 6, 7],
        "governor": "performance",
        "container": False,
        "virtual_machine": False,
        "variables": {},
        "machine": "x86_64",
        "processors": 8,
        "quota": None,
        "memory_available_bytes": 8 << 30,
        "memory_peak": True,
        "compiler": "c++",
        "contended": False,
        "stolen_share": 0.013,
        "sees_all_processes": True,
        "load": {"load_1min": 0.1, "cpu_pressure_avg10": 0.0, "involuntary_switches": 0},
    },
    "torch": {
        "version": "2.9.0",
        "cuda": "12.8",
        "cards": [{"name": "Example GPU", "uuid": "1"}],
        "error": "",
    },
    "nvml": {"why_not": "", "message": ""},
    "cards": [CARD],
    "rapl": {"why_not": "", "message": "", "domains": {"packages": 2}},
    "folders": {
        name: {"folder": name, "writable": True, "files": 1, "free_bytes": 10**12}
        for name in ("results", "cache")
    },
}


def changed(**changes: Any) -> dict[str, Any]:
    """The facts of a machine where all can be measured, with some of them changed by their paths,
    such as host__contended.
    """
    facts = copy.deepcopy(FACTS)
    for path, value in changes.items():
        *keys, last = path.split("__")
        found: Any = facts
        for key in keys:
            found = found[int(key) if key.isdigit() else key]
        found[last] = value
    return facts


def named(abilities: list[Ability], name: str) -> Ability:
    (ability,) = (each for each in abilities if each.name == name)
    return ability


def test_where_all_is_well_all_can_be_measured() -> None:
    abilities = judge(FACTS)
    assert {ability.state for ability in abilities} == {"yes"}
    assert {
        "time on the card",
        "memory of the card",
        "energy of the card",
        "energy of the CPU",
    } <= {each.name for each in abilities}


CASES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "an engine that is not there": (
        {"engines__2__why_not": "openvino is not installed: pip install openvino"},
        "engine openvino",
        "no",
        "openvino is not installed",
    ),
    "an engine that is there": ({}, "engine openvino", "yes", "openvino 3.1: fp32 on a CPU"),
    "a compiler without one": ({"host__compiler": None}, "engine compile", "but", "C++ compiler"),
    "others on the CPU": (
        {"host__contended": True, "host__load__cpu_pressure_avg10": 61.4},
        "time on the CPU",
        "but",
        "61 % of the last 10",
    ),
    "others, no pressure told": (
        {"host__contended": True, "host__load__cpu_pressure_avg10": None},
        "time on the CPU",
        "but",
        "load is high",
    ),
    "neighbours that the kernel sees": (
        {"host__virtual_machine": True},
        "time on the CPU",
        "yes",
        "took 1.3 % of its time",
    ),
    "neighbours that nobody sees": (
        {"host__virtual_machine": True, "host__stolen_share": None},
        "time on the CPU",
        "yes",
        "may disturb it unseen",
    ),
    "a saving governor": ({"host__governor": "powersave"}, "time on the CPU", "but", "'powersave'"),
    "no torch": ({"torch__version": None}, "time on the CPU", "no", "not installed"),
    "no peak of memory": ({"host__memory_peak": False}, "memory of the host", "no", "clear_refs"),
    "no energy counters": (
        {"rapl__why_not": "rapl_absent"},
        "energy of the CPU",
        "no",
        "virtual machines",
    ),
    "counters for root": (
        {"rapl__why_not": "rapl_no_permission"},
        "energy of the CPU",
        "no",
        "only root",
    ),
    "no driver": (
        {"cards": [], "torch__cards": [], "nvml__why_not": "nvml_library_missing"},
        "anything of a card",
        "no",
        "no NVIDIA driver",
    ),
    "an unknown code": (
        {"cards": [], "torch__cards": [], "nvml__why_not": "nvml_error_77"},
        "anything of a card",
        "no",
        "nvml_error_77",
    ),
    "a second card lost": ({"nvml__why_not": "gpu_lost"}, "another card", "no", "lost"),
    "torch without CUDA": ({"torch__cuda": None}, "time on the card", "no", "built without CUDA"),
    "no energy without time": (
        {"torch__cuda": None},
        "energy of the card",
        "no",
        "nothing can run",
    ),
    "torch and driver at odds": (
        {"torch__error": "driver too old"},
        "time on the card",
        "no",
        "driver too old",
    ),
    "a hidden card": ({"torch__cards": []}, "time on the card", "no", "does not see it"),
    "a slice": (
        {"cards__0__mig": True, "torch__cards": [{"name": "A slice", "uuid": "7"}]},
        "time on the card",
        "yes",
        "no other programs",
    ),
    "no slice": (
        {"cards__0__mig": True, "torch__cards": []},
        "time on the card",
        "no",
        "torch sees no slice of it",
    ),
    "a driver that only computes": (
        {"cards": [], "nvml__why_not": "nvml_library_missing"},
        "energy of the card",
        "no",
        "library libnvidia-ml is not there",
    ),
    "a binding that is hidden": (
        {"cards": [], "nvml": {"why_not": "nvml_binding_missing", "message": "pynvml hides it"}},
        "energy of the card",
        "no",
        "cannot be queried: pynvml hides it",
    ),
    "a hot card": (
        {"cards__0__events": ["idle", "hardware_thermal"]},
        "time on the card",
        "but",
        "hardware_thermal",
    ),
    "others on the card": ({"cards__0__processes": 2}, "time on the card", "but", "2 programs"),
    "others not told": (
        {"cards__0__processes": None},
        "time on the card",
        "but",
        "does not report",
    ),
    "others not seen": (
        {"host__sees_all_processes": False},
        "time on the card",
        "but",
        "outside this container",
    ),
    "a display": (
        {"cards__0__drawing": 2},
        "time on the card",
        "but",
        "2 programs using it for a display",
    ),
    "memory not told": (
        {"cards__0__memory_used_bytes": None},
        "memory of the card",
        "but",
        "torch's peaks only",
    ),
    "no sensor": (
        {"cards__0__power__why_not": "not_supported"},
        "energy of the card",
        "no",
        "no power sensor",
    ),
    "slices": ({"cards__0__power__why_not": "mig"}, "energy of the card", "no", "partitioned"),
    "a module's power": (
        {"cards__0__power__power_scope": "module"},
        "energy of the card",
        "but",
        "card and CPU together",
    ),
    "a cache that cannot be written": (
        {"folders__cache__writable": False},
        "roofline",
        "but",
        "cannot be written",
    ),
    "no home": (
        {"folders__cache__writable": False, "folders__cache__folder": None},
        "roofline",
        "but",
        "no home",
    ),
    "results that cannot be written": (
        {"folders__results__writable": False},
        "records",
        "no",
        "cannot be written",
    ),
    "no library": ({"libraries__timm__version": None}, "networks of timm", "no", "not installed"),
    "a broken library": (
        {"libraries__timm__problem": "torchvision is built for another torch"},
        "networks of timm",
        "no",
        "another torch",
    ),
    "a full disk": ({"folders__results__free_bytes": 10**6}, "records", "but", "1 MB"),
}


@pytest.mark.parametrize(("changes", "name", "state", "says"), CASES.values(), ids=CASES)
def test_what_is_amiss_is_said_with_a_remedy(
    changes: dict[str, Any], name: str, state: str, says: str
) -> None:
    facts = changed(**changes)
    abilities = judge(facts)
    ability = named(abilities, name)
    assert ability.state == state
    assert says in ability.found
    assert all(bool(each.remedy) == (each.state != "yes") for each in abilities)
    pages = [abilities_table(abilities), *machine_tables(facts)]
    assert max(len(line) for page in pages for line in page.plain().splitlines()) <= 80


def test_how_to_lock_clocks_is_said_and_that_it_is_never_done() -> None:
    found = named(judge(FACTS), "clocks of the card").found
    assert "archbench never sets them" in found
    assert "sudo nvidia-smi -i GPU-1 -lgc MHZ" in found


def test_every_answer_of_the_driver_has_its_words() -> None:
    assert all(reason.cause and reason.remedy for reason in nvml.REASONS.values())


def test_two_cards_are_told_apart() -> None:
    facts = changed(cards=[CARD, CARD | {"uuid": "GPU-2"}])
    abilities = judge(facts)
    assert named(abilities, "time on card 0").state == "yes"
    assert named(abilities, "time on card 1").found == "torch does not see it"


def test_a_card_that_torch_uses_is_there_though_its_driver_cannot_be_asked() -> None:
    """A past bug: containers that are given the driver's computing part were told of no card."""
    facts = changed(cards=[], nvml__why_not="nvml_library_missing")
    of_cards = {each.name: (each.state, each.code) for each in judge(facts) if "card" in each.name}
    assert of_cards == {
        "time on the card": ("but", "exclusivity_unknown"),
        "memory of the card": ("but", ""),
        "energy of the card": ("no", "nvml_library_missing"),
    }
    facts["torch"]["cards"] *= 2
    assert named(judge(facts), "time on card 1").state == "but"


def test_the_page_of_this_machine_fits_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for word in ("time on the CPU", "energy of the CPU", "processor", "torch", "results folder"):
        assert word in out
    assert list(tmp_path.iterdir()) == []


def test_a_results_folder_that_is_a_file_is_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").touch()
    assert run(["doctor", "--json", "--results", str(tmp_path / "taken")]) == 0
    abilities = json.loads(capsys.readouterr().out)["abilities"]
    assert [each["state"] for each in abilities if each["name"] == "records"] == ["no"]
