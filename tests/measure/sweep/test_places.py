"""Where jobs can run: cards that the driver's library does not tell of, and slices of cards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from archbench.measure.power.nvml import NvmlCard
from archbench.measure.sweep import places as module
from archbench.measure.sweep import ray_runner
from archbench.measure.sweep.places import Place, places
from archbench.reasons import Status
from archbench.records import Record
from archbench.settings import DEFAULT, Settings
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
    seen = SimpleNamespace(returncode=0, stdout='[{"name": "A card", "uuid": "1-2"}]', stderr="")
    monkeypatch.setattr(module, "ask", lambda: seen)
    for may, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(module, "may_have_cards", lambda may=may: may)
        assert [place.kind for place in places(Settings(device="auto"))] == [kind]


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
