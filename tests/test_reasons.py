"""Codes are text wherever text is read or written; those of other versions are themselves."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from archbench.reasons import Flag, Reason, Status


@pytest.mark.parametrize("kind", [Status, Reason, Flag])
def test_every_code_is_its_own_name_and_says_what_it_means(
    kind: type[Status | Reason | Flag],
) -> None:
    assert all(code == code.name.lower() and code.text for code in kind)
    assert len({code.text for code in kind}) == len(kind)


def test_a_member_is_its_code() -> None:
    assert json.dumps({Reason.GPU_LOST: [Status.OK, Flag.THROTTLED]}) == (
        '{"gpu_lost": ["ok", "throttled"]}'
    )
    assert {"gpu_lost": 1}[Reason.GPU_LOST] == 1
    assert f"{Flag.CI_NOT_MET}" == "ci_not_met"


@pytest.mark.parametrize("kind", [Reason, Flag])
def test_a_code_of_another_version_stands_for_itself(kind: type[Reason | Flag]) -> None:
    code = kind("of_a_later_version")
    assert (code, code.name, code.remedy) == ("of_a_later_version", "of_a_later_version", "")
    assert code.text in ("of_a_later_version", "")
    assert code not in list(kind)
    for again in (copy.deepcopy(code), pickle.loads(pickle.dumps(code))):
        assert (again, type(again)) == (code, kind)


def test_nothing_follows_from_a_code_of_another_version() -> None:
    reason, flag = Reason("signal:SIGSEGV"), Flag("of_a_later_version")
    assert not any((reason.is_retried, reason.loses_place, flag.is_flaw, flag.disturbs))


def test_what_is_no_code_is_refused() -> None:
    with pytest.raises(ValueError, match="fine"):
        Status("fine")
    with pytest.raises(ValueError, match="3"):
        Reason(3)  # type: ignore[arg-type]
