"""Options out of signatures, and values in the types of annotations."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from archbench.spec import UsageError
from archbench.zoo.sources.signature import signature

TEXT = """
from torch import nn
def f(a, b: int, /, c: float = 1, d: "str | None" = None, *rest, e: Literal["x", 2] = 2, g=True):
    ...
class Plain(nn.Module):
    def __init__(self, depth: int = 3): ...
class Child(Plain): ...
class Bare(nn.Module): ...
class Unseen(Elsewhere): ...
class Open(nn.Module):
    def __init__(self, depth: int = 3, **more): ...
@dataclass
class Made:
    depth: int = 3
class Loop(Loop): ...
def signed(a: int = -1, b=+0.5, c: Literal[-1, 0, 1] = -1, d=-True, e=-a, f=(1,)): ...
if True:
    def late(x=1): ...
"""
TREE = ast.parse(TEXT)


@pytest.mark.parametrize(
    ("name", "names", "is_open"),
    [
        ("f", ["c", "d", "e", "g"], False),
        ("Plain", ["depth"], False),
        ("Child", ["depth"], False),
        ("Bare", [], False),
        ("Unseen", [], True),
        ("Open", ["depth"], True),
        ("Made", [], True),
        ("Loop", [], True),
        ("late", ["x"], False),
        ("nn", [], True),
    ],
)
def test_what_can_be_given_by_name(name: str, names: list[str], is_open: bool) -> None:
    found = signature(TREE, name)
    assert (sorted(found.parameters), found.is_open) == (names, is_open)


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("c", 2, 2.0),
        ("c", 0.5, 0.5),
        ("d", 7, "7"),
        ("d", True, "true"),
        ("e", "x", "x"),
        ("e", 2, 2),
        ("g", False, False),
    ],
)
def test_values_are_of_the_annotated_type(name: str, given: Any, taken: Any) -> None:
    value = signature(TREE, "f").parameters[name].check(given)
    assert (value, type(value)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("c", "wide", "(a number)"),
        ("c", True, "(a number)"),
        ("c", float("nan"), "numbers below"),
        ("e", 3, "choose from x, 2"),
        ("g", 1, "(true or false)"),
    ],
)
def test_other_values_are_refused(name: str, given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        signature(TREE, "f").parameters[name].check(given)
    with pytest.raises(UsageError, match="numbers below"):
        signature(TREE, "late").parameters["x"].check(2**64)


def test_a_default_may_have_a_sign() -> None:
    """A past bug: x=-1 beside `x: int = -1` was another network."""
    found = signature(TREE, "signed").parameters
    defaults = {name: parameter.default for name, parameter in found.items()}
    assert defaults == {"a": -1, "b": 0.5, "c": -1, "d": None, "e": None, "f": None}
    assert found["c"].values == (-1, 0, 1)
