"""Networks of a user's own, built and counted: whole ones, and maps under detectors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import archbench
from archbench.spec import UsageError
from archbench.zoo.contracts import Detector

Write = Callable[[str, str], Path]
MAPS = """
from torch import nn
class Maps(nn.Module):
    def __init__(self, form="list"):
        super().__init__()
        sides = [3, 8, 8, 8, 16, 24]
        self.form = form
        self.steps = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in zip(sides, sides[1:]))
        self.last = nn.GroupNorm(8, 24)
    def forward(self, x):
        maps = []
        for step in self.steps:
            x = step(x)
            maps.append(x)
        maps.append(self.last(x))
        return dict(enumerate(maps)) if self.form == "dict" else maps
"""


def test_a_whole_network_is_built_and_counted_as_it_is(tiny: Path) -> None:
    at_64 = archbench.cost("nets.py:Tiny", size=64, classes=5)
    macs = 32 * 32 * 3 * 8 * 9 + 16 * 16 * (8 * 8 * 9 + 8 * 5)
    assert (at_64.macs, at_64.counted_on) == (macs, "meta")
    network = archbench.build("nets.py:Tiny", size=64, width=4)
    assert network(torch.zeros(1, 3, 64, 64))["maps"][0].shape == (1, 20, 16, 16)
    assert not network.training


def test_each_version_of_a_file_and_of_what_is_beside_it_is_counted(
    tiny: Path, write: Write
) -> None:
    before = archbench.cost("nets.py:Tiny", size=64).macs
    write("blocks.py", (tiny.parent / "blocks.py").read_text().replace("3, stride, 1", "1, stride"))
    assert archbench.cost("nets.py:Tiny", size=64).macs < before
    write("other/nets.py", tiny.read_text())
    write(
        "other/blocks.py", "from torch import nn\ndef conv(a, b, s): return nn.Conv2d(a, b, 2, s)"
    )
    assert archbench.cost("other/nets.py:Tiny", size=64).macs not in (before, 0)
    assert not {str(tiny.parent), str(tiny.parent / "other")} & {*sys.path}
    assert not [*tiny.parent.rglob("__pycache__")]


def test_a_name_is_read_in_the_folder_that_is_the_working_one_now(
    tiny: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nets.py", "blocks.py"):
        write(f"other/{name}", (tiny.parent / name).read_text())
    first = archbench.cost("nets.py:Tiny", size=64)
    tiny.unlink()
    monkeypatch.chdir(tiny.parent / "other")
    assert archbench.cost("nets.py:Tiny", size=64) == first


def test_a_file_may_go_to_its_own_folder_and_read_there(write: Write) -> None:
    """Names of files are read from the working folder, which stays what it was."""
    write("own/width.txt", "8")
    write(
        "own/nets.py",
        """
        import os
        from pathlib import Path
        from torch import nn
        os.chdir(Path(__file__).parent)
        def net():
            return nn.Conv2d(3, int(Path("width.txt").read_text()), 1)
        """,
    )
    here = Path.cwd()
    for _ in range(2):
        assert archbench.cost("own/nets.py:net", size=16).macs == 16 * 16 * 24
        assert Path.cwd() == here


@pytest.mark.parametrize(
    ("body", "counted_on"),
    [
        ("self.rates = [float(x) for x in torch.linspace(0, 1, 3)]", "meta"),
        ("self.floor = 0.0", "cpu"),
    ],
    ids=["built for real", "run for real"],
)
def test_what_does_not_go_by_shape_is_counted_for_real(
    write: Write, body: str, counted_on: str
) -> None:
    run = "x[x > self.floor].topk(3)" if counted_on == "cpu" else "x * self.rates[1]"
    write(
        "nets.py",
        f"""
        import torch
        from torch import nn
        TABLE = torch.tensor([2.0])
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 8, 1)
                assert TABLE.item() == 2
                {body}
            def forward(self, x):
                x = self.conv(x)
                return {run}
        """,
    )
    report = archbench.cost("nets.py:Net", size=16)
    assert (report.macs, report.counted_on) == (16 * 16 * 24, counted_on)


@pytest.mark.parametrize("form", ["list", "dict"])
def test_maps_stand_under_detectors(write: Write, form: str) -> None:
    write("nets.py", MAPS)
    network = archbench.build("nets.py:Maps", "ssd300", form=form)
    assert isinstance(network, Detector)
    backbone = network.get_submodule("features.backbone")
    # Of two maps at stride 32 the last is c5.
    assert [stage.level for stage in backbone.stages] == ["c1", "c2", "c3", "c4", "c5", "c5"]
    assert (backbone.taps, backbone.norm) == (("map4", "map6"), "gn")
    with torch.inference_mode():
        (found,) = network.postprocess(network(torch.zeros(1, 3, 300, 300)))
    assert found.boxes.shape[1] == 4
    under = archbench.cost("nets.py:Maps", "retinanet", size=320, form=form)
    assert under.macs > archbench.cost("nets.py:Maps", size=320, form=form).macs


@pytest.mark.parametrize(
    ("detector", "change", "message"),
    [
        (
            "ssd300",
            ("maps.append(self.last(x))", "return maps[:4]"),
            r"has no c5; at 300x300 it gives c1 \(stride 2\)",
        ),
        ("faster-rcnn-c4", ("", ""), "Maps cannot be split"),
        ("ssd300", ("maps = []", "return 3"), "not an object of type int"),
        ("ssd300", ("[3, 8", "[4, 8"), r"\(.*nets\.py, line \d+\)"),
    ],
)
def test_a_module_that_no_detector_can_stand_on_says_why(
    write: Write, detector: str, change: tuple[str, str], message: str
) -> None:
    write("nets.py", MAPS.replace(*change) if change[0] else MAPS)
    with pytest.raises(UsageError, match=message):
        archbench.build("nets.py:Maps", detector)


@pytest.mark.parametrize("arguments", ["", "taps=None"])
def test_a_backbone_of_the_contract_is_tapped_and_cut(write: Write, arguments: str) -> None:
    write(
        "nets.py",
        f"""
        from torch import nn
        from archbench.zoo.contracts import Backbone, Stage
        def tiny({arguments}):
            steps = {{f"s{{i}}": nn.Conv2d(8 if i else 3, 8, 3, 2, 1) for i in range(5)}}
            stages = [Stage(name, 8, 2 << i) for i, name in enumerate(steps)]
            return Backbone(steps, stages{", taps=taps" if arguments else ""})
        """,
    )
    assert archbench.cost("nets.py:tiny", "ssd300").macs > 0
    assert archbench.cost("nets.py:tiny", "faster-rcnn-c4").macs > 0


LATE = """
class Late(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 8, 1)
    def forward(self, x):
        yield super().forward(x)
class Never(Late):
    async def forward(self, x):
        return x
"""


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise KeyError('boom')", r"KeyError: 'boom' \(.*nets\.py, line 3\)"),
        ("raise SystemExit(3)", r"SystemExit: 3 \(.*nets\.py, line 3\)"),
        ("import os; os._exit(3)", r"SystemExit: 3 \(.*nets\.py, line 3\)"),
        ("return 3", "returns an object of type int"),
        ("import nothing", r"No module named 'nothing' \(.*nets\.py, line 3\)"),
        ("return nn.Conv2d(4, 8, 3)", "to have 4 channels, but got 3"),
        (
            "return Late()",
            "the forward pass of Late gives an object of type generator, which computes when it is",
        ),
        ("return Never()", "the forward pass of Never gives an object of type coroutine"),
    ],
)
def test_what_a_user_s_code_raises_is_one_line_with_its_place(
    write: Write, text: str, message: str
) -> None:
    write("nets.py", f"from torch import nn\ndef net():\n    {text}\n{LATE}")
    with pytest.raises(UsageError, match=message):
        archbench.cost("nets.py:net", size=16)


def test_what_the_spec_says_is_told_to_what_asks_for_it(write: Write) -> None:
    write(
        "nets.py",
        """
        from torch import nn
        def net(size, classes=7):
            assert size == (32, 16)
            return nn.Conv2d(3, classes, 1)
        """,
    )
    assert archbench.cost("nets.py:net", size="32x16").macs == 32 * 16 * 3 * 7
    assert archbench.cost("nets.py:net", size="32x16", classes=2).macs == 32 * 16 * 3 * 2
