"""The table of engines: what each declares, and what is refused with it before anything is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archbench import engines
from archbench.engine_names import ENGINE_NAMES
from archbench.engines import ENGINES
from archbench.engines.engine import Engine, Package
from archbench.settings import DEFAULT, PRECISIONS, SETTINGS, Settings
from archbench.spec import Spec, UsageError

SPEC = Spec("resnet50", None, 224, 224, classes=1000)
FILE_ENGINES = [name for name, engine in ENGINES.items() if not engine.trains]


def test_the_table_holds_what_settings_may_name() -> None:
    assert tuple(ENGINES) == ENGINE_NAMES


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_an_engine_declares_known_precisions_and_settings(engine: Engine) -> None:
    assert set(engine.precisions) <= set(PRECISIONS)
    assert engine.honours <= set(SETTINGS)
    assert engine.summary
    assert engine.install.startswith("pip install ")


def test_int8_is_no_precision_of_eager() -> None:
    with pytest.raises(UsageError, match=r"'int8' for engine eager \(choose from fp32"):
        engines.check(SPEC, Settings(precision="int8"))


@pytest.mark.parametrize("name", FILE_ENGINES)
def test_training_is_refused(name: str) -> None:
    training = Spec("resnet50", None, 224, 224, classes=1000, mode="train")
    with pytest.raises(UsageError, match=f"{name} does not run training steps .*eager, compile"):
        engines.check(training, Settings(engine=name))


@pytest.mark.parametrize(
    ("setting", "value", "flag"),
    [
        ("memory_format", "channels_last", "--memory-format channels_last"),
        ("cudnn_benchmark", False, "--no-cudnn-benchmark"),
        ("fold_bn", True, "--fold-bn"),
        ("cuda_graph", True, "--cuda-graph"),
        ("deterministic", True, "--deterministic"),
    ],
)
def test_a_setting_that_an_engine_ignores_is_refused(
    setting: str, value: object, flag: str
) -> None:
    asked = Settings(engine="onnxruntime", **{setting: value})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"onnxruntime ignores {flag}"):
        engines.check(SPEC, asked)


def test_threads_of_torch_do_not_spin_by_a_setting() -> None:
    with pytest.raises(UsageError, match="engine eager ignores --spin"):
        engines.check(SPEC, Settings(spin=True))


def test_the_default_asks_for_nothing_that_eager_ignores() -> None:
    engines.check(SPEC, DEFAULT)


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
    assert "is too old (1000.1 or newer is needed): pip install 'archbench[slow]'" in (
        lacking("1000.1").why_not()
    )
    assert lacking("1.0").why_not() == ""
    assert lacking("1.0").versions() == {"pytest": pytest.__version__}


def test_a_library_that_is_too_new_is_told_with_the_command() -> None:
    engine = replace(lacking("1.0"), runtimes=(Package("pytest", "1.0", below="2"),))
    assert "is too new (older than 2 is needed): pip install 'archbench[slow]'" in engine.why_not()
    known = replace(lacking("1.0"), runtimes=(Package("pytest", "1.0", below="1000"),))
    assert known.why_not() == ""


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
    with pytest.raises(UsageError, match="tensorrt runs on --device cuda only"):
        ENGINES["tensorrt"].check_precision("fp32", "cpu")
