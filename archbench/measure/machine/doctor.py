"""What can be measured on a machine, judged by what `machine.look` found; for all that cannot, why,
and what would help. Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from archbench.engine_names import COMPILE, EAGER
from archbench.measure.machine.host import CONTENDED_PRESSURE
from archbench.measure.power.validity import EVENTS, THROTTLED
from archbench.reasons import Flag, Reason

State = Literal["yes", "but", "no"]
Facts = dict[str, Any]

LEAST_FREE_BYTES = 100_000_000
HELD_DOWN = {name for bit, name in EVENTS.items() if bit & THROTTLED}


@dataclass(frozen=True)
class Ability:
    """One thing to measure: whether it can be here (but: it can, with a reservation), how or why
    not, and what would help.
    """

    name: str
    state: State
    found: str
    remedy: str = ""
    code: str = ""


def judge(facts: Facts) -> list[Ability]:
    """Say of each thing that archbench measures whether it can be measured on the machine of these
    facts.
    """
    return [
        Ability(
            "counts",
            "yes",
            "exact on any machine: parameters, multiply-adds, memory access cost, activations",
        ),
        *_on_the_cpu(facts),
        *_on_cards(facts),
        *_engines(facts),
        *_libraries(facts),
        *_records(facts),
    ]


def _lacking(name: str, why_not: Reason) -> Ability:
    """What cannot be measured here, by the reason that the machine gives."""
    cause = why_not.cause or f"the NVIDIA driver says {why_not}"
    return Ability(name, "no", cause, why_not.remedy or "check that nvidia-smi works", why_not)


def _on_the_cpu(facts: Facts) -> Iterator[Ability]:
    found = facts["host"]
    cores = f"{found['cores']} core{'s' * (found['cores'] != 1)} for this process"
    governor = found["governor"]
    pressure = found["load"]["cpu_pressure_avg10"]
    if facts["torch"]["version"] is None:
        yield Ability("time on the CPU", "no", "torch is not installed", "pip install torch")
    elif found["contended"]:
        busy = (
            "the load is high"
            if pressure is None
            else f"programs waited for it {pressure:.0f} % of the last 10 s"
        )
        above = f" (the limit is {CONTENDED_PRESSURE:.0f} %)" if pressure is not None else ""
        yield Ability(
            "time on the CPU",
            "but",
            f"{cores}; other programs are using the CPU: {busy}{above}",
            Flag.CPU_CONTENDED.remedy,
            Flag.CPU_CONTENDED,
        )
    elif governor not in (None, "performance"):
        remedy = "sudo cpupower frequency-set -g performance"
        yield Ability(
            "time on the CPU",
            "but",
            f"{cores}; the {governor!r} governor lowers clocks between calls",
            remedy,
        )
    else:
        yield Ability("time on the CPU", "yes", f"{cores}, medians within 1 %{_neighbours(found)}")
    if found["memory_peak"]:
        yield Ability("memory of the host", "yes", "the kernel reports this process's peak")
    else:
        yield _lacking("memory of the host", Reason.NO_PEAK_FROM_KERNEL)
    yield _energy_of_the_cpu(facts["rapl"])


def _neighbours(found: Facts) -> str:
    """What the others on a virtual machine's host do to times; they are seen only where the kernel
    accounts for stolen time.
    """
    if not found["virtual_machine"]:
        return ""
    share = found["stolen_share"]
    seen = f"took {100 * share:.1f} % of its time so far" if share else "may disturb it unseen"
    return f"; the virtual machine's neighbours {seen}: --repeats 3 shows how far times vary"


def _energy_of_the_cpu(rapl: Facts) -> Ability:
    if rapl["why_not"]:
        return _lacking("energy of the CPU", Reason(rapl["why_not"]))
    packages = rapl["domains"]["packages"]
    return Ability(
        "energy of the CPU",
        "yes",
        f"counters of {packages} package{'s' * (packages != 1)}, including other programs",
    )


def _on_cards(facts: Facts) -> Iterator[Ability]:
    used = facts["torch"]["cards"]
    if facts["nvml"]["why_not"]:
        why_not, said = Reason(facts["nvml"]["why_not"]), facts["nvml"]["message"]
        lacking = _lacking("another card" if facts["cards"] else "anything of a card", why_not)
        lacking = replace(lacking, found=f"{lacking.found}: {said}") if said else lacking
        if facts["cards"] or not used:
            yield lacking
        else:
            for name in _names(used):
                yield from _by_torch_alone(name, lacking)
    for name, card in zip(_names(facts["cards"]), facts["cards"], strict=True):
        time = _time_of(f"time on {name}", card, facts)
        yield time
        if time.state != "no":
            yield _memory_of(f"memory of {name}", card)
        yield _clocks_of(f"clocks of {name}", card)
        yield _energy_of(f"energy of {name}", card, usable=time.state != "no")


def _names(cards: Sequence[Facts]) -> list[str]:
    """What each of the cards is called: the only one has no number."""
    return ["the card"] if len(cards) == 1 else [f"card {index}" for index in range(len(cards))]


def _by_torch_alone(name: str, lacking: Ability) -> Iterator[Ability]:
    """What can be measured of a card that torch uses and whose driver cannot be asked, for the
    reason of `lacking`.
    """
    if lacking.code == Reason.NVML_LIBRARY_MISSING:
        # The driver is there, or torch could not use the card: see nvml.may_have_cards.
        lacking = replace(
            lacking,
            found="its driver's library libnvidia-ml is not there",
            remedy="start the container with NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        )
    unasked = {"processes": None, "memory_used_bytes": None}
    yield _shared(f"time on {name}", unasked, sees_all=False)
    yield replace(_memory_of(f"memory of {name}", unasked), remedy=lacking.remedy)
    yield replace(lacking, name=f"energy of {name}")


def _time_of(name: str, card: Facts, facts: Facts) -> Ability:
    torch = facts["torch"]
    if torch["version"] is None:
        return Ability(name, "no", "torch is not installed", "pip install torch")
    if not torch["cuda"]:
        return Ability(
            name,
            "no",
            f"torch {torch['version']} is built without CUDA",
            "install a CUDA build: pytorch.org/get-started",
        )
    if torch["error"]:
        return Ability(
            name,
            "no",
            f"torch cannot use it: {torch['error']}",
            "install a torch that fits the driver: pytorch.org",
        )
    if hidden := _hidden(name, card, facts):
        return hidden
    held = sorted(HELD_DOWN & set(card["events"] or ()))
    if held:
        return Ability(
            name,
            "but",
            f"its clocks are limited: {', '.join(held)}",
            Flag.THROTTLED.remedy,
            Flag.THROTTLED,
        )
    return _shared(name, card, sees_all=facts["host"]["sees_all_processes"])


def _hidden(name: str, card: Facts, facts: Facts) -> Ability | None:
    """Say that torch sees neither a card nor a slice of it (MIG); None where it does."""
    seen = {_bare(each["uuid"]) for each in facts["torch"]["cards"]}
    whole = {_bare(each["uuid"]) for each in facts["cards"]}
    if not card["mig"]:
        found, remedy = "torch does not see it", "check CUDA_VISIBLE_DEVICES"
        return None if _bare(card["uuid"]) in seen else Ability(name, "no", found, remedy)
    # A slice has a UUID of its own.
    found = "torch sees no slice of it"
    remedy = "name one in CUDA_VISIBLE_DEVICES: nvidia-smi -L lists them"
    return None if seen - whole else Ability(name, "no", found, remedy)


def _shared(name: str, card: Facts, *, sees_all: bool) -> Ability:
    """Whether others use a card that can be used."""
    count = card["processes"]
    if count:
        found = f"{count} program{'s' * (count != 1)} running on it now"
        return Ability(name, "but", found, Flag.CONTENDED.remedy, Flag.CONTENDED)
    unknown = "" if sees_all else "programs outside this container are not visible"
    if count is None:
        unknown = "its driver does not report other programs"
    if unknown:
        remedy = Flag.EXCLUSIVITY_UNKNOWN.remedy
        return Ability(name, "but", unknown, remedy, Flag.EXCLUSIVITY_UNKNOWN)
    if card["drawing"]:
        found = f"{card['drawing']} program{'s' * (card['drawing'] != 1)} using it for a display"
        return Ability(name, "but", found, Flag.DRAWS_DISPLAY.remedy, Flag.DRAWS_DISPLAY)
    return Ability(name, "yes", f"{card['name']}, no other programs on it")


def _bare(uuid: str | None) -> str:
    return (uuid or "").removeprefix("GPU-").removeprefix("MIG-")


def _memory_of(name: str, card: Facts) -> Ability:
    if card["memory_used_bytes"] is None:
        return Ability(
            name,
            "but",
            "torch's peaks only: the driver does not report the memory in use",
            "try a newer driver",
        )
    return Ability(name, "yes", "torch's peaks, and the memory in use from the driver")


def _clocks_of(name: str, card: Facts) -> Ability:
    """How clocks are locked (nvidia-smi's manual): that needs root and is left to people."""
    lock = f"sudo nvidia-smi -i {card['uuid'] or 'CARD'} -lgc MHZ"
    found = (
        f"they vary with load and heat, and archbench never sets them: {lock} locks, -rgc unlocks"
    )
    return Ability(name, "yes", found)


def _energy_of(name: str, card: Facts, *, usable: bool) -> Ability:
    power = card["power"]
    if power["why_not"]:
        return _lacking(name, Reason(power["why_not"]))
    found = (
        "from its power "
        f"({', '.join(power['sensors'])}){' and its energy counter' if power['counter'] else ''}"
    )
    if not usable:
        return Ability(
            name,
            "no",
            f"it could be measured {found}, but nothing can run on the card",
            "see its time",
        )
    if power["power_scope"] == "module":
        return Ability(
            name,
            "but",
            f"{found}, card and CPU together",
            "compare it only with the same kind",
        )
    return Ability(
        name,
        "yes",
        f"{found}; sensors of two cards may differ by {power['systematic_pct']:.0f} % or more",
    )


def _engines(facts: Facts) -> Iterator[Ability]:
    """What can run a network besides eager PyTorch, whose times are above."""
    for engine in facts["engines"]:
        name, install = f"engine {engine['name']}", engine["install"]
        having = "with " + ", ".join(map(" ".join, engine["versions"].items()))
        if engine["name"] == EAGER:
            continue
        if engine["why_not"]:
            lacking = engine["why_not"].removesuffix(f": {install}")
            yield Ability(name, "no", f"the package {lacking}", install)
        elif engine["name"] == COMPILE and not facts["host"]["compiler"]:
            found = f"{having}; on a CPU it needs a C++ compiler"
            yield Ability(name, "but", found, "install g++ or clang++")
        else:
            devices = {"a CPU": engine["on_cpu"], "a CUDA device": engine["on_cuda"]}
            where = (f"{', '.join(has)} on {device}" for device, has in devices.items() if has)
            yield Ability(name, "yes", f"{having}: {'; '.join(where)}")


def _libraries(facts: Facts) -> Iterator[Ability]:
    for name, found in facts["libraries"].items():
        ability = Ability(
            f"networks of {name}", "yes", f"{found['networks']} of {found['version']}"
        )
        if found["version"] is None:
            ability = replace(ability, state="no", found="not installed", remedy=found["install"])
        elif found["problem"]:
            ability = replace(
                ability,
                state="no",
                found=found["problem"],
                remedy=f"reinstall it: {found['install']}",
            )
        yield ability


def _records(facts: Facts) -> Iterator[Ability]:
    results, cache = facts["folders"]["results"], facts["folders"]["cache"]
    if cache["writable"]:
        yield Ability(
            "roofline", "yes", "--roofline measures a device's peaks in 10 s and caches them"
        )
    else:
        cause = (
            f"{cache['folder']} cannot be written" if cache["folder"] else "this user has no home"
        )
        yield Ability(
            "roofline",
            "but",
            f"peaks are measured again each time: {cause}",
            "set XDG_CACHE_HOME to a writable folder",
        )
    if not results["writable"]:
        yield Ability(
            "records",
            "no",
            f"{results['folder']} cannot be written",
            "give --results a writable folder",
        )
    elif results["free_bytes"] < LEAST_FREE_BYTES:
        yield Ability(
            "records",
            "but",
            f"only {results['free_bytes'] / 1e6:.0f} MB free on the disk of {results['folder']}",
            "free some space",
        )
    else:
        yield Ability("records", "yes", f"written to {results['folder']}")
