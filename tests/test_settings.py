"""How a spec is measured: what the settings refuse, and what each of them declares."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from archbench.setting import Bearing
from archbench.settings import DEFAULT, QUICK, SETTINGS, Settings, same_job
from archbench.spec import UsageError

Another = Callable[[str], Any]


@pytest.mark.parametrize(
    "wrong",
    [
        {"device": "gpu"},
        {"device": "cuda:"},
        {"precision": "fp8"},
        {"memory_format": "nhwc"},
        {"threads": 0},
        {"n_min": 0},
        {"budget_s": 0.0},
        {"target": -0.1},
        {"deadline_s": 0.0},
        {"seed": -1},
    ],
    ids=str,
)
def test_settings_refuse(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong)).partition("_")[0]):
        Settings(**wrong)  # type: ignore[arg-type]


def test_settings_survive_plain_data_and_what_a_later_version_adds() -> None:
    data = json.loads(json.dumps(QUICK.to_dict())) | {"added_later": 1}
    assert Settings.from_dict(data) == QUICK


def test_a_deadline_follows_the_budget_unless_it_is_given() -> None:
    assert Settings(budget_s=30).deadline == 690
    assert Settings(budget_s=30, deadline_s=5).deadline == 5


def test_every_field_is_declared() -> None:
    assert [*SETTINGS] == [field.name for field in fields(Settings)]


def test_what_no_flag_gives_is_the_protocol_s() -> None:
    assert {name for name, declared in SETTINGS.items() if declared.flag is None} == {
        "n_min",
        "n_max",
        "t_min_s",
        "energy_s",
        "total_s",
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_a_flag_is_declared_with_its_help(name: str) -> None:
    flags = [declared.flag for declared in SETTINGS.values() if declared.flag]
    declared = SETTINGS[name]
    assert bool(declared.flag) == bool(declared.help)
    assert declared.words
    assert flags.count(declared.flag or "") <= 1


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("protocol", [DEFAULT, QUICK], ids=["default", "quick"])
def test_settings_that_differ_in_a_flag_tell_it(
    name: str, protocol: Settings, another: Another
) -> None:
    flag = SETTINGS[name].flag
    told = replace(protocol, **{name: another(name)}).flags().split()
    assert ("--quick" in told) == (protocol is QUICK)
    if flag:
        assert {flag, flag.replace("--", "--no-", 1)} & {*told}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_sweep_takes_a_record_unless_a_setting_makes_another_job(
    name: str, another: Another
) -> None:
    other = replace(DEFAULT, **{name: another(name)})
    assert same_job(DEFAULT, other) == (SETTINGS[name].bearing is Bearing.NOTHING)


def test_a_quick_record_from_before_a_field_is_quick() -> None:
    data = QUICK.to_dict()
    del data["energy_s"]
    assert Settings.from_dict(data).flags() == " --quick"
