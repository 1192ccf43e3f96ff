"""The table of engines: what each declares, and what is refused with it before anything is done."""

from __future__ import annotations

import pytest

from archbench.engines import ENGINES
from archbench.engines.engine import Engine, Package
from archbench.settings import SETTINGS
from archbench.spec import UsageError


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_an_engine_declares_known_precisions_and_settings(engine: Engine) -> None:
    assert engine.honours <= set(SETTINGS)
    assert engine.summary
    assert engine.install.startswith("pip install ")


def lacking(least: str) -> Engine:
    return Engine(
        name="slow",
        summary="one that needs pytest",
        extra="slow",
        runtimes=(Package("pytest", least),),
        on_cpu=("fp32",),
        on_cuda=(),
    )


def test_a_library_that_is_too_old_is_told_with_the_command() -> None:
    assert "is too old, 1000.1 is the least: pip install 'archbench[slow]'" in (
        lacking("1000.1").why_not()
    )
    assert lacking("1.0").why_not() == ""
    assert lacking("1.0").versions() == {"pytest": pytest.__version__}


def test_a_missing_library_is_told_with_the_command() -> None:
    missing = Engine(
        name="none",
        summary="one that is nowhere",
        extra="none",
        runtimes=(Package("archbench-no-such-thing", "1"),),
        on_cpu=("fp32",),
        on_cuda=(),
    )
    assert missing.why_not() == (
        "archbench-no-such-thing is not installed: pip install 'archbench[none]'"
    )
    assert missing.versions() == {}


def test_an_engine_of_cards_names_the_device_that_it_lacks() -> None:
    with pytest.raises(UsageError, match="tensorrt needs another device than cpu"):
        ENGINES["tensorrt"].check_precision("fp32", "cpu")
