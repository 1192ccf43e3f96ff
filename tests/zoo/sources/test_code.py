"""A user's own code: what its hash covers, and which module a name means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archbench.spec import UsageError
from archbench.zoo.sources.code import read_code
from archbench.zoo.sources.files import find_place

Write = Callable[[str, str], Path]


def digest(where: str = "nets.py") -> str:
    return read_code(find_place(where)).digest


@pytest.mark.parametrize(
    "same",
    [
        '"""Another text."""\ndef f(a, b=1):\n    return a + b\n',
        "# a comment\ndef f(a,\n      b = 1):\n    'what it does'\n    return (a + b)\n",
    ],
)
def test_layout_comments_and_docstrings_are_not_hashed(write: Write, same: str) -> None:
    write("nets.py", "def f(a, b=1):\n    return a + b\n")
    before = digest()
    write("nets.py", same)
    assert digest() == before
    write("nets.py", same.replace("1", "2"))
    assert digest() != before


def test_the_hash_is_the_same_under_every_python(write: Write) -> None:
    write(
        "nets.py", "class A:\n    x: int = 3\n    def f(self):\n        return f'{self.x!r:>3}'\n"
    )
    assert digest() == "bda069"


@pytest.mark.parametrize(
    "statement",
    [
        "import a.b",
        "from a import b",
        "from a.b import x",
        "def f():\n    from a.b import x",
        "import other",
    ],
)
def test_modules_beside_it_are_hashed_wherever_they_are_imported(
    write: Write, statement: str
) -> None:
    write("nets.py", statement)
    write("other.py", "import a.b")
    write("a/__init__.py", "")
    write("a/b.py", "x = 1")
    before = digest()
    write("a/b.py", "x = 2")
    assert digest() != before


def test_relative_imports_are_those_of_the_file_s_package(write: Write) -> None:
    write("p/__init__.py", "")
    write("p/blocks.py", "x = 1")
    write("p/q/__init__.py", "")
    write("p/q/nets.py", "from ..blocks import x\nfrom . import near")
    write("p/q/near.py", "")
    code = read_code(find_place("p/q/nets.py"))
    assert set(code.modules) == {"p", "p.q", "p.q.nets", "p.blocks", "p.q.near"}
    assert read_code(find_place("p.q.nets")).digest == code.digest


def test_what_is_not_imported_is_not_hashed(write: Write) -> None:
    write("nets.py", "import json")
    before = digest()
    write("other.py", "x = 1")
    assert digest() == before


def test_a_module_that_shadows_an_installed_one_is_refused_by_name(write: Write) -> None:
    write("nets.py", "import json")
    write("json.py", "")
    with pytest.raises(
        UsageError, match=r"imports json, which is both json\.py beside it and an inst"
    ):
        digest()
    write("nets.py", "import other")
    write("other.py", "import sys")
    write("sys.py", "")
    with pytest.raises(UsageError, match="imports sys"):
        digest()


def test_a_mark_of_its_encoding_is_no_part_of_a_text(write: Write) -> None:
    write("nets.py", "x = 1\n")
    before = digest()
    write("nets.py", "\ufeffx = 1\n")
    assert digest() == before


def test_what_python_warns_of_is_not_told_of_what_is_only_read(
    write: Write, recwarn: pytest.WarningsRecorder
) -> None:
    write("nets.py", "x = '\\d'\n")
    digest()
    assert [*recwarn] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class X(:", r"nets\.py is not valid Python: invalid syntax \(.*nets\.py, line 1\)"),
        ("x = " + "(" * 300, "nets.py is not valid Python"),
        ("x = " + "-" * 5000 + "1", "nested too deeply"),
        ("x = '\0'", "nets.py is not valid Python"),
    ],
)
def test_text_that_is_no_python_is_refused_in_a_line(write: Write, text: str, message: str) -> None:
    write("nets.py", text)
    with pytest.raises(UsageError, match=message):
        digest()
