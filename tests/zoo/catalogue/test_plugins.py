"""Networks from outside: a file, or a module that an installed package offers."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import archbench
from archbench.cli.main import run
from archbench.records import Store
from archbench.spec import UsageError
from archbench.tracebacks import VARIABLE
from archbench.zoo import catalogue
from archbench.zoo.contracts import Detector

EXAMPLE = Path(__file__).parents[3] / "examples" / "ssd_slim.py"
QUICK = ["--device", "cpu", "--quick", "--budget", "0.2", "--size", "96"]


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin and end each test without plug-ins."""
    monkeypatch.setenv(catalogue.PLUGIN_FILES, "")
    monkeypatch.setenv(VARIABLE, "")
    catalogue.forget()
    yield
    monkeypatch.undo()
    catalogue.forget()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers the example as its module."""
    package = tmp_path / "site" / "slimnets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    shutil.copy(EXAMPLE, package / "slim.py")
    described = tmp_path / "site" / "slimnets-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: slimnets\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[archbench.plugins]\nslim = slimnets.slim\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv(
        "PYTHONPATH",
        os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])),
    )
    catalogue.forget()


def plugin(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "own.py"
    file.write_text(text)
    return file


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 65


def test_a_file_adds_a_detector_to_the_library() -> None:
    with pytest.raises(UsageError, match="unknown detector"):
        archbench.cost("mobilenet", "ssd-slim")
    catalogue.use_plugin(EXAMPLE)
    report = archbench.cost("mobilenet", "ssd-slim320", extras=1)
    assert (report.boxes, report.uncounted) == (6 * (20**2 + 10**2 + 5**2), ())
    network = archbench.build("mobilenet", "ssd-slim", size=96)
    assert isinstance(network, Detector)
    with torch.inference_mode():
        (found,) = network.postprocess(network(torch.zeros(1, 3, 96, 96)))
    assert found.boxes.shape[1] == 4


def test_a_file_is_read_without_being_run(tmp_path: Path) -> None:
    catalogue.use_plugin(plugin(tmp_path, EXAMPLE.read_text() + "\nraise SystemExit\n"))
    assert catalogue.resolve("mobilenet", "ssd-slim").spec.size == "320x320"


def test_a_command_measures_and_lists_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        [
            "profile",
            "mobilenet",
            "-d",
            "ssd-slim",
            "--plugin",
            str(EXAMPLE),
            *QUICK,
            "--results",
            str(tmp_path),
            "--json",
        ]
    )
    record = json.loads(capsys.readouterr().out)
    assert (code, record["status"], record["spec"]["detector"]) == (0, "ok", "ssd-slim")
    assert record["measured"]["postprocess_ms"]["value"] > 0
    assert run(["list", "detectors", "--plugin", str(EXAMPLE)]) == 0
    assert "ssd-slim" in capsys.readouterr().out
    assert run(["compare", "--results", str(tmp_path)]) == 0
    assert "ssd-slim96" in capsys.readouterr().out


@pytest.mark.usefixtures("installed")
@pytest.mark.slow
def test_an_installed_package_is_found_without_being_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert archbench.cost("mobilenet", "ssd-slim").params > 1e6
    code = run(
        [
            "profile",
            "mobilenet",
            "-d",
            "ssd-slim",
            *QUICK,
            "--results",
            str(tmp_path / "results"),
            "--json",
        ]
    )
    assert (code, json.loads(capsys.readouterr().out)["status"]) == (0, "ok")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("named", ["slimnets.slim:SlimSSD", "slimnets.slim : SlimSSD"])
def test_an_entry_point_may_name_an_object_of_the_module(tmp_path: Path, named: str) -> None:
    """As most do: a past bug took both for a module's name, and every command ended there."""
    points = tmp_path / "site" / "slimnets-1.0.dist-info" / "entry_points.txt"
    points.write_text(f"[archbench.plugins]\nslim = {named}\n")
    catalogue.forget()
    assert catalogue.plugins_in_use() == ("slimnets.slim",)
    assert catalogue.resolve("mobilenet", "ssd-slim").spec.size == "320x320"


@pytest.mark.usefixtures("installed")
def test_light_commands_load_no_plugin() -> None:
    code = (
        "import sys; from archbench.cli.main import run; run(['list']); print({'torch', "
        "'slimnets.slim'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "ssd-slim" in done.stdout


def test_a_backbone_may_come_from_a_file(tmp_path: Path) -> None:
    text = '''
from torch import nn
from archbench.zoo.contracts import Backbone, Stage
ENTRY = """
kind = "backbone"
builder = "tiny"
source = "a test"
input = "64x64"
classes = 10
levels = ["c1", "c2"]
[networks.tiny]
arguments = { width = 8 }
"""
def tiny(*, width, taps=None):
    first, second = (nn.Conv2d(c_in, width, 3, stride=2, padding=1) for c_in in (3, width))
    steps = {"a": first, "b": second}
    return Backbone(steps, [Stage("a", width, 2), Stage("b", width, 4)], taps=taps)
'''
    catalogue.use_plugin(plugin(tmp_path, text))
    assert archbench.cost("tiny").params == 3 * 8 * 9 + 8 + 8 * 8 * 9 + 8 + 8 * 10 + 10
    assert archbench.cost("tiny", "faster-rcnn", size=64).boxes == 12 * 32 * 32


ENTRY = 'ENTRY = """\n{}\n"""\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no ENTRY"),
        ("ENTRY = (", "cannot be read"),
        (ENTRY.format("builder = "), "cannot be read"),
        (ENTRY.format('builder = "X"'), "missing required field networks"),
        (ENTRY.format('kind = "neck"\n[networks.x]'), "invalid kind 'neck'"),
        (
            ENTRY.format('builder = "X"\nsource = "a test"\ninput = "64x64"\n[networks.SSD_Huang]'),
            "a detector called SSD_Huang already exists",
        ),
        ("ENTRY = open('x')", "not that of a family"),
        ("ENTRY = " + "[" * 100_000, "nested"),
        (ENTRY.format("[options.o]\n[networks.x]"), "option o needs values or a default"),
        (ENTRY.format("like = 'none:at-all'\nsource = 's'\n[networks.x]"), "invalid like 'none"),
        (
            ENTRY.format('builder = "X"\ninput = "64x64"\n[networks.own]'),
            "own has no source: the paper and section, or the repository",
        ),
    ],
)
def test_a_file_that_is_no_plugin_is_one_line_and_changes_nothing(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        catalogue.use_plugin(plugin(tmp_path, text))
    assert catalogue.plugins_in_use() == ()
    assert catalogue.resolve("resnet18").spec.backbone == "resnet18"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ENTRY.format('builder = "X"\nsource = "a test"\ninput = "64x64"\n[networks.own]'),
            "has no X, the builder of own",
        ),
        (
            "import nothing_of_that_name\n"
            + ENTRY.format('builder = "X"\nsource = "a test"\ninput = "64x64"\n[networks.own]'),
            "cannot be loaded: ModuleNotFoundError",
        ),
    ],
)
def test_a_builder_that_is_not_there_is_one_line(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = plugin(tmp_path, text)
    assert (
        run(
            [
                "profile",
                "mobilenet",
                "-d",
                "own",
                "--plugin",
                str(file),
                "--no-measure",
                "--results",
                str(tmp_path),
            ]
        )
        == 2
    )
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sys.path.clear()", "it takes folders off sys.path"),
        ("sys.modules.clear()", "it takes modules that are in use out of sys.modules"),
        ("sys.modules.clear(); import json", "it takes modules that are in use out of sys.modules"),
        ("sys.modules.clear(); 1 / 0", "it takes modules that are in use out of sys.modules"),
    ],
)
def test_a_plugin_leaves_the_process_its_imports(tmp_path: Path, line: str, message: str) -> None:
    own = ENTRY.format('builder = "X"\nsource = "a test"\ninput = "64x64"\n[networks.own]')
    catalogue.use_plugin(plugin(tmp_path, f"import sys\n{own}\n{line}\n"))
    path, modules = [*sys.path], set(sys.modules)
    with pytest.raises(UsageError, match=message):
        archbench.build("mobilenet", "own")
    assert sys.path == path
    assert modules <= set(sys.modules)


def test_its_command_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slim.py").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "nets.toml").write_text(
        'backbone = "mobilenet"\ndetector = "ssd-slim"\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    words = ["count", "mobilenet", "-d", "ssd-slim", "--plugin", "slim.py", "--json"]
    assert run(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert "--plugin slim.py --no-measure" in found["command"]
    assert found["environment"]["plugin_files"] == [str(tmp_path / "slim.py")]
    assert run([*shlex.split(found["command"])[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"] == found["spec"]
    plan = ["sweep", "nets.toml", "--plugin", "slim.py", "--dry-run", "--quick", "--json"]
    assert run(plan) == 0
    (job,) = json.loads(capsys.readouterr().out)["jobs"]
    assert job["command"].endswith("--plugin slim.py")
    assert run(["sweep", "nets.toml", "--plugin", "slim.py", "--no-measure", "--json"]) == 0
    (ended,) = json.loads(capsys.readouterr().out)["records"]
    assert ended["command"].endswith("--plugin slim.py")


def test_its_records_are_of_the_code_that_it_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A past bug: after an edit, a resumed sweep left its networks out as counted."""
    text = EXAMPLE.read_text(encoding="utf-8")
    (tmp_path / "nets.toml").write_text(
        'backbone = "mobilenet"\ndetector = "ssd-slim"\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    words = ["sweep", "nets.toml", "--plugin", "slim.py", "--no-measure", "--resume", "--json"]
    hashes = []
    for written in (text, text, f"{text}\nEDITED = True\n"):
        (tmp_path / "slim.py").write_text(written, encoding="utf-8")
        assert run(words) == 0
        (ended,) = json.loads(capsys.readouterr().out)["records"]
        records = {record.record_id: record for record in Store("results").read()}
        hashes.append(records[ended["record_id"]].environment["network_hash"])
    assert len(records) == 2
    assert hashes[0] == hashes[1] != hashes[2]
    assert catalogue.resolve("mobilenet", "ssd300").plugin_hash == ""


def test_a_file_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "--plugin", "no/such/file.py"]) == 2
    assert capsys.readouterr().err.endswith(
        "no/such/file.py cannot be read: No such file or directory\n"
    )


BESIDE = """
import {imported}
from torch import nn
from archbench.zoo.contracts import Backbone, Stage
ENTRY = \"\"\"
kind = "backbone"
builder = "build"
source = "a test"
input = "32x32"
classes = 10
[networks.{name}]
\"\"\"
def build(*, taps=None):
    conv = nn.Conv2d(3, {imported}.WIDTH, 3)
    return Backbone({{"conv": conv}}, [Stage("conv", {imported}.WIDTH, 1)], taps=taps)
"""


def beside(folder: Path, name: str, imported: str, text: str) -> Path:
    """A plug-in that imports a module beside it."""
    folder.mkdir()
    (folder / f"{imported}.py").write_text(text)
    (folder / f"{name}.py").write_text(BESIDE.format(name=name, imported=imported))
    return folder / f"{name}.py"


def test_a_file_imports_the_modules_beside_it(tmp_path: Path) -> None:
    path = list(sys.path)
    for name, width in (("first", 4), ("second", 6)):
        catalogue.use_plugin(beside(tmp_path / name, name, "widths", f"WIDTH = {width}"))
    # Twice, so that the second plug-in's module of the same name is not taken for the first's.
    for _ in range(2):
        counted = [archbench.cost(name, classes=0).params for name in ("first", "second")]
        assert counted == [4 * (27 + 1), 6 * (27 + 1)]
    assert sys.path == path


@pytest.mark.parametrize("taken", ["json", "archbench"])
def test_a_module_beside_a_file_hides_no_other(tmp_path: Path, taken: str) -> None:
    """Neither one of Python's nor an installed one: the file gets that one, which has no WIDTH."""
    catalogue.use_plugin(beside(tmp_path / "own", "hiding", taken, "WIDTH = 4"))
    with pytest.raises(UsageError, match="WIDTH"):
        archbench.build("hiding")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise RecursionError('deep')", "RecursionError: deep"),
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError('first\\nsecond')", "ValueError: first"),
    ],
)
def test_whatever_a_builder_raises_is_one_line_with_its_place(
    tmp_path: Path, body: str, message: str
) -> None:
    text = BESIDE.format(name="broken", imported="os").split("def build")[0]
    file = plugin(tmp_path, f"{text}def build(*, taps=None):\n    {body}\n")
    catalogue.use_plugin(file)
    line = len(file.read_text().splitlines())
    with pytest.raises(UsageError) as failed:
        archbench.build("broken")
    assert str(failed.value) == f"broken cannot be built: {message} ({file}, line {line})"


def test_a_file_that_ends_the_process_is_refused_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A past bug: `sys.exit` in a plug-in ended the command with 0 and nothing printed."""
    file = plugin(tmp_path, EXAMPLE.read_text() + "\nraise SystemExit(0)\n")
    asked = ["profile", "mobilenet", "-d", "ssd-slim", "--no-measure", "--plugin", str(file)]
    assert run([*asked, "--results", str(tmp_path / "results")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"error: ssd-slim on mobilenet cannot be built: plug-in {file} cannot be loaded: "
        f"SystemExit: 0 ({file}, line {len(file.read_text().splitlines())})\n"
    )


def test_a_builder_that_gives_something_else_is_refused(tmp_path: Path) -> None:
    text = BESIDE.format(name="odd", imported="os").split("def build")[0]
    catalogue.use_plugin(plugin(tmp_path, f"{text}def build(*, taps=None):\n    return [1]\n"))
    with pytest.raises(UsageError, match=r"build of .*own.py returns a list, not a Backbone"):
        archbench.build("odd")


RAISING = """
import os
from torch import nn
from archbench.zoo.contracts import Backbone, Stage
ENTRY = \"\"\"
kind = "backbone"
builder = "build"
source = "a test"
input = "32x32"
classes = 10
[networks.raising]
\"\"\"
CALLS = 0
class Odd(BaseException):
    def __str__(self):
        raise ValueError("no message to be had")
class Conv(nn.Conv2d):
    def forward(self, x):
        global CALLS
        CALLS += not x.is_meta
        if {when}: {statement}
        return super().forward(x)
def build(*, taps=None):
    return Backbone({{"conv": Conv(3, 8, 3)}}, [Stage("conv", 8, 1)], taps=taps)
"""
PLACE = 21


@pytest.mark.slow
@pytest.mark.parametrize(
    ("when", "statement", "said"),
    [("x.is_meta", "raise KeyboardInterrupt", "KeyboardInterrupt"), ("CALLS", "raise Odd", "Odd")],
)
def test_whatever_a_network_raises_before_it_is_timed_is_refused_by_its_worker(
    tmp_path: Path, when: str, statement: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = plugin(tmp_path, RAISING.format(when=when, statement=statement))
    asked = ["profile", "raising", "--plugin", str(file), "--results", str(tmp_path / "results")]
    assert run([*asked, *QUICK]) == 2
    cannot = "counted" if when == "x.is_meta" else "built"
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: raising, 96x96, 10 classes cannot be {cannot}: {said} ({file}, line {PLACE})"
    )
    assert Store(tmp_path / "results").read() == []


@pytest.mark.slow
def test_what_a_network_raises_later_is_a_record_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = plugin(tmp_path, RAISING.format(when="CALLS > 2", statement="raise SystemExit(0)"))
    asked = ["profile", "raising", "--plugin", str(file), "--results", str(tmp_path / "results")]
    assert run([*asked, *QUICK, "--debug"]) == 1
    (record,) = Store(tmp_path / "results").read()
    assert record.reason is not None
    assert (record.status, record.reason.code) == ("error", "SystemExit")
    assert record.reason.message == f"SystemExit: 0 ({file}, line {PLACE})"
    told = capsys.readouterr().err
    assert f'File "{file}", line {PLACE}, in forward' in told


def test_a_network_that_takes_the_outputs_away_is_shown_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taking = "import sys; sys.stdout = sys.stderr = None"
    file = plugin(tmp_path, RAISING.format(when="True", statement=taking))
    asked = ["profile", "raising", "--plugin", str(file), "--results", str(tmp_path / "results")]
    assert run([*asked, "--no-measure"]) == 0
    assert "parameters" in capsys.readouterr().out


def test_a_network_that_ends_the_process_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `os._exit` does, which nothing catches."""
    file = plugin(tmp_path, RAISING.format(when="True", statement="os._exit(0)"))
    asked = ["profile", "raising", "--plugin", str(file), "--results", str(tmp_path / "results")]
    end = os._exit
    assert run([*asked, "--no-measure"]) == 2
    assert f"SystemExit: 0 ({file}, line {PLACE})" in capsys.readouterr().err
    assert os._exit is end


@pytest.mark.parametrize("before", [True, False])
def test_a_traceback_is_shown_where_it_is_asked_for(
    tmp_path: Path, before: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    file = plugin(tmp_path, RAISING.format(when="True", statement="raise ValueError('\\x1b[31m')"))
    asked = ["profile", "raising", "--plugin", str(file), "--no-measure", "--results"]
    asked.append(str(tmp_path / "results"))
    assert run(asked) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert run(["--debug", *asked] if before else [*asked, "--debug"]) == 2
    *told, last = capsys.readouterr().err.splitlines()
    assert last == line
    assert told[0] == "Traceback (most recent call last):"
    assert f'  File "{file}", line {PLACE}, in forward' in told
    assert r"ValueError: \x1b[31m" in told


def test_the_traceback_of_a_file_that_cannot_be_read_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["list", "--plugin", str(plugin(tmp_path, "ENTRY = (")), "--debug"]
    assert run(asked) == 2
    told = capsys.readouterr().err
    assert "SyntaxError" in told
    assert told.splitlines()[-1].startswith("error: plug-in ")
