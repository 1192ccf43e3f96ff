"""Names of networks in files of a user's own, resolved without running anything."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import archbench
from archbench.papers.suites import read_suite
from archbench.spec import UsageError, parse_options
from archbench.zoo.catalogue import resolve
from archbench.zoo.sources import verbatim

Write = Callable[[str, str], Path]


def test_a_spec_has_the_name_as_written_with_the_hash(tiny: Path) -> None:
    spec = resolve("./nets.py:Tiny", size=64).spec
    name, _, digest = spec.backbone.partition("@")
    assert (name, len(digest), spec.classes, spec.is_whole) == ("nets.py:Tiny", 6, None, True)
    assert resolve(str(tiny) + ":Tiny", size=64).spec == spec
    assert resolve(spec.backbone, size=64, width=8).spec == spec
    other = resolve("nets.py:Tiny", size=64, width=4, classes=3).spec
    assert (other.options, other.classes) == ((("width", 4),), 3)
    # The same code under another name is another network.
    assert resolve("nets:Tiny", size=64).spec.backbone == f"nets:Tiny@{digest}"


def test_a_changed_file_is_another_network_and_an_old_hash_is_refused(
    tiny: Path, write: Write
) -> None:
    before = resolve("nets.py:Tiny", size=64).spec
    write("nets.py", tiny.read_text().replace("width, 2), conv(width, width", "8, 2), conv(8, 8"))
    assert resolve("nets.py:Tiny", size=64).spec != before
    with pytest.raises(UsageError, match=r"has changed: its code is @\w{6}, not @\w{6}"):
        resolve(before.backbone, size=64)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("nets.py:Tiny", {"size": None}, "--size"),
        ("nets.py:Tinny", {}, "did you mean Tiny?"),
        ("nets.py:Tiny", {"depth": 3}, "takes no option depth; there are width"),
        ("nets.py:Tiny", {"num_classes": 3}, "give it separately"),
        ("nets.py:Tiny", {"classes": 0}, "1 or more"),
        ("nets.py:needs", {}, "needs its option depth"),
        ("nets.py:needs", {"depth": 1, "classes": 3}, "takes no classes"),
        ("nets.py:N", {}, "is 3, neither a class nor a function"),
        ("nets.py:waits", {}, "coroutine"),
        ("nets.py:", {}, "give a class or function"),
        ("nets.py:A B", {}, "give a class or function"),
        ("nets.py:Tiny@12", {}, r"invalid hash @12 \(6 hexadecimal digits\)"),
        ("nets.py", {}, "nets.py:NAME"),
        ("gone.py:Tiny", {}, "No such file"),
        ("gone.nets:Tiny", {}, "no module gone.nets"),
        ("folder/:Tiny", {}, "not a Python file"),
        ("circle.py:Tiny", {}, "cannot be read: .*ymlink"),
        ("n\0ts.py:Tiny", {}, "cannot be read: embedded null"),
        ("n\0ts.onnx", {}, "cannot be read: embedded null"),
        ("n\0ts.pt2", {}, "cannot be read: embedded null"),
        (f"{'n' * 5000}:Tiny", {}, "cannot be read: .*name too long"),
        (r"C:\nets.py:Tiny", {}, "No such file"),
        ("nets.py:Tiny:more", {}, "neither a file nor a module"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    name: str, given: dict[str, object], message: str, tiny: Path, write: Write
) -> None:
    more = "\ndef needs(depth): ...\nN = 3\nasync def waits(): ...\n"
    write("nets.py", tiny.read_text() + more)
    Path("circle.py").symlink_to("circle.py")
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        resolve(name, **({"size": 64} | given))  # type: ignore[arg-type]


ODD = """
from torch import nn

def odd(batch: int = 4, mode: str = "fast", backbone: str = "x", options: int = 3):
    return nn.Conv2d(3, batch, 3)
"""


def test_its_options_have_the_names_of_its_arguments(write: Write) -> None:
    write("odd.py", ODD)
    given = {"batch": 2, "mode": "slow", "backbone": "y", "options": 1}
    spec = resolve("odd.py:odd", size=32, batch=8, options=given).spec
    assert (spec.batch, spec.mode, dict(spec.options)) == (8, "infer", given)
    assert parse_options([f"{key}={value}" for key, value in spec.options]) == given
    assert archbench.cost("odd.py:odd", size=8, options={"batch": 2}).macs == 6 * 6 * 2 * 27
    with pytest.raises(UsageError, match="give it as --detector"):
        resolve("odd.py:odd", size=32, options={"detector": "ssd300"})
    write("odd.toml", 'backbone = "odd.py:odd"\nsize = 32\noptions = { batch = [1, 2] }\n')
    assert [dict(spec.options) for spec in read_suite(Path("odd.toml")).specs] == [
        {"batch": 1},
        {"batch": 2},
    ]
    write("zoo.toml", 'backbone = "mobilenet"\noptions = { batch = 2 }\n')
    with pytest.raises(UsageError, match="but a key of its own"):
        read_suite(Path("zoo.toml"))


def test_a_detector_is_no_file(tiny: Path) -> None:
    with pytest.raises(UsageError, match="plug-in"):
        resolve("vgg16", "nets.py:Tiny")


def test_a_name_in_a_file_is_relative_to_its_folder(tiny: Path) -> None:
    assert verbatim("nets.py:Tiny@3fa2c1", "suites") == "suites/nets.py:Tiny@3fa2c1"
    assert verbatim("../nets.py:Tiny", "suites") == "nets.py:Tiny"
    assert verbatim(f"{tiny}:Tiny", "suites") == "nets.py:Tiny"
    assert verbatim("package.nets:Tiny", "suites") == "package.nets:Tiny"
    assert verbatim("vovnet39", "suites") == "vovnet39"


def test_nothing_is_run_and_torch_not_loaded(write: Write) -> None:
    write("nets.py", "from p.more import x\nraise SystemExit('run')\nclass Net: ...\n")
    write("p/__init__.py", "raise SystemExit('run')")
    write("p/more.py", "raise SystemExit('run')\nclass Net: ...\n")
    code = (
        "import sys; from archbench.zoo.catalogue import resolve; "
        "print([resolve(name, size=8).spec.origin for name in ('nets.py:Net', 'p.more:Net')], "
        "{'torch', 'p'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['file', 'file'] set()"
