"""Where jobs can run: cards that the driver's library does not tell of, and slices of cards."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from archbench.measure.machine import cards
from archbench.measure.power.nvml import NvmlCard
from archbench.measure.sweep import places as module
from archbench.measure.sweep import ray_runner
from archbench.measure.sweep.places import Place, places
from archbench.reasons import Status
from archbench.records import Record
from archbench.settings import DEFAULT, Settings
from archbench.spec import UsageError
from archbench.zoo.catalogue import resolve


def without_nvml(nvml_stub, folder: Path, *, cuda: bool) -> dict[str, str]:
    """An environment whose NVML library does not load, with CUDA's own or without."""
    (folder / "libnvidia-ml.so.1").write_text("no library")
    if cuda:
        (folder / "libcuda.so.1").symlink_to(
            Path(nvml_stub()["LD_LIBRARY_PATH"]) / "libnvidia-ml.so.1"
        )
    return nvml_stub(str(folder))


@pytest.mark.parametrize("cuda", [True, False])
def test_where_nvmls_library_is_missing_cudas_own_says_whether_there_may_be_cards(
    nvml_stub, tmp_path, cuda
):
    code = "from archbench.measure.power.nvml import may_have_cards as may; print(may())"
    environment = without_nvml(nvml_stub, tmp_path, cuda=cuda)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(cuda)


@pytest.mark.parametrize(("fail", "may"), [("", "True"), ("nvmlInitWithFlags=9", "False")])
def test_a_driver_that_answers_says_whether_there_may_be_cards(nvml_stub, fail, may):
    code = "from archbench.measure.power.nvml import may_have_cards as may; print(may())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=nvml_stub(STUB_FAIL=fail),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == may


def test_auto_is_the_card_that_torch_sees(monkeypatch):
    seen = [{"name": "A card", "uuid": "1-2"}], ""
    monkeypatch.setattr(module, "ask", lambda: seen)
    for may, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(module, "may_have_cards", lambda may=may: may)
        assert [place.kind for place in places(Settings(device="auto"))] == [kind]


@pytest.mark.parametrize(
    ("count", "says"),
    [
        (0, "there is no CUDA device here"),
        (2, "there is no such CUDA device here (choose from cuda:0, cuda:1)"),
    ],
)
def test_a_card_beyond_the_last_is_refused_with_those_that_there_are(monkeypatch, count, says):
    seen = [{"name": "A card", "uuid": str(index)} for index in range(count)], ""
    monkeypatch.setattr(module, "ask", lambda: seen)
    monkeypatch.setattr(module, "may_have_cards", lambda: True)
    with pytest.raises(UsageError) as refusal:
        places(Settings(device="cuda:2"))
    assert str(refusal.value) == f"device cuda:2: {says}"


BROKEN = """
from types import SimpleNamespace

class cuda:
    device_count = staticmethod(lambda: 1)
    get_device_properties = staticmethod(lambda index: SimpleNamespace(name="A card"))

def zeros(*_, device):
    raise RuntimeError(
        "CUDA error: no kernel image is available for execution on the device\\n"
        "CUDA kernel errors might be asynchronously reported at some other API call.\\n"
        "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\\n"
    )
"""


def test_of_an_error_of_cuda_the_line_that_says_what_is_amiss_is_quoted(monkeypatch, tmp_path):
    """A past bug: it was the last, which tells torch's developers how to compile it."""
    (tmp_path / "torch.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert cards.ask() == ([{"name": "A card", "uuid": ""}], "")
    with pytest.raises(cards.CardsError) as error:
        cards.ask(use=True)
    assert str(error.value) == (
        "CUDA error: no kernel image is available for execution on the device"
    )


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os; os.abort()", "it ended with -6"),
        ("raise SystemExit('a driver that is too old')", "a driver that is too old"),
        ("import time; time.sleep(60)", "no answer within 0.5 s"),
    ],
)
def test_a_torch_that_cannot_name_its_cards_is_one_line(monkeypatch, code, why):
    """A past bug: one that died without a word ended in a traceback, one that hung in a hang."""
    monkeypatch.setattr(module, "may_have_cards", lambda: True)
    monkeypatch.setattr(cards.child, "command", lambda *_: [sys.executable, "-c", code])
    monkeypatch.setattr(cards, "TORCH_S", 0.5 if "sleep" in code else 60)
    with pytest.raises(UsageError, match=f"the cards of this machine cannot be listed: {why}"):
        places(Settings(device="cuda"))


@pytest.mark.parametrize(
    ("ran", "settings", "is_repeated"),
    [
        ({}, DEFAULT, True),
        ({"archbench": "1.2.3", "torch": "2.9.1+cpu", "threads": 4}, DEFAULT, True),
        ({"archbench": "1.2.3", "torch": "2.9.0"}, DEFAULT, True),
        ({"archbench": "1.2.4"}, DEFAULT, False),
        ({"torch": "2.10.1"}, DEFAULT, False),
        ({"engine_versions": {"onnxruntime": "1.22.0"}}, DEFAULT, True),
        ({"engine_versions": {"onnxruntime": "1.21.0"}}, DEFAULT, False),
        ({"threads": 2}, DEFAULT, False),
        ({"threads": 2}, Settings(threads=2), True),
    ],
)
def test_a_record_of_other_releases_or_threads_is_of_another_job(ran, settings, is_repeated):
    """A past bug: resumed on half of the cores, or after an update, a sweep left such jobs out."""
    versions = {"archbench": "1.2.3", "torch": "2.9.1", "onnxruntime": "1.22.1"}
    place = Place("cpu", "cpu", "A CPU", host="here", threads=4, versions=versions)
    record = Record(resolve("resnet18").spec, settings, Status.OK, environment=ran)
    assert place.would_repeat(record) is is_repeated
    card = Place("cuda:0", "cuda", "A card", "1-2", threads=4, versions=versions)
    assert card.would_repeat(replace(record, environment={"threads": 2}))


@pytest.mark.parametrize("uuid", ["1-2", "GPU-1-2", "MIG-1-2"])
def test_a_record_of_a_slice_is_of_the_place_of_that_slice(uuid):
    record = Record(
        resolve("resnet18").spec,
        DEFAULT,
        Status.OK,
        environment={"device": "cuda:0", "uuid": "GPU-1-2"},
    )
    assert Place("node 1", "cuda", "A card", uuid).ran(record)
    assert not Place("node 1", "cuda", "A card", "MIG-3-4").ran(record)


class Driver(NvmlCard):
    """A card that remembers how it was asked for."""

    def __init__(self, uuid: str | None = None, *, index: int = 0) -> None:
        self.why_not, self._asked = None, uuid or f"GPU-of-{index}"

    def name(self) -> str:
        return "A card"

    def uuid(self) -> str:
        return self._asked


@pytest.mark.parametrize(
    ("given", "uuid"), [("0", "GPU-of-0"), ("GPU-1-2", "GPU-1-2"), ("MIG-1-2", "MIG-1-2")]
)
def test_a_cluster_may_name_a_card_or_a_slice_of_one(monkeypatch, given, uuid):
    context = SimpleNamespace(get_accelerator_ids=lambda: {"GPU": [given]})
    ray = SimpleNamespace(get_runtime_context=lambda: context)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(ray_runner, "NvmlCard", Driver)
    place = ray_runner._card("node 1 card 0")
    assert (place.uuid, place.variables["CUDA_VISIBLE_DEVICES"]) == (uuid, uuid)


def test_a_slice_is_found_by_its_own_name(nvml_stub, child):
    assert child(nvml_stub(), "card", uuid="MIG-slice")["mig_enabled"] is True
