"""What an ONNX file says of its inputs, read in the file's own encoding (protobuf.dev), so that
nothing is imported to plan with it. Torch-free.

Numbers of fields are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from archbench.files import read_bytes, version_of
from archbench.graph_axes import Side
from archbench.spec import UsageError

MOST_BYTES = 2**31 - 1
"""The largest file that protobuf itself reads."""
VARINT, DELIMITED = 0, 2
FIXED = {1: 8, 5: 4}
"""Bytes of values of a fixed length, by their kinds."""
MOST_SHIFT = 63
GRAPH = 7
INITIALIZER, INPUT = 5, 11
TENSOR_NAME = 8
NAME, TYPE = 1, 2
TENSOR, SHAPE, DIM = 1, 2, 1
DIM_VALUE, DIM_NAME = 1, 2


def read_inputs(path: Path) -> list[list[Side]]:
    """Give the shape of each tensor that a graph reads and does not hold; raises UsageError for
    what is no ONNX model.
    """
    return _read(path, Path.cwd(), version_of(path))


@lru_cache(maxsize=16)
def _read(path: Path, folder: Path, version: tuple[int, int, int]) -> list[list[Side]]:
    """Read a file of this version, its path seen from a folder."""
    data = memoryview(read_bytes(path, "model", MOST_BYTES))
    try:
        return _inputs(data)
    except (IndexError, KeyError, TypeError, ValueError):
        raise UsageError(f"{path} is not an ONNX model, or is truncated") from None


def _inputs(model: memoryview) -> list[list[Side]]:
    graphs = [value for number, value in _fields(model) if number == GRAPH]
    held: set[str] = set()
    given: dict[str, list[Side]] = {}
    for number, value in (field for graph in graphs for field in _fields(_bytes(graph))):
        if number == INITIALIZER:
            held.add(_text(_one(value, TENSOR_NAME)))
        elif number == INPUT:
            given[_text(_one(value, NAME))] = _sides(value)
    if not graphs:
        raise ValueError("no graph")
    return [sides for name, sides in given.items() if name not in held]


def _sides(info: memoryview | int) -> list[Side]:
    """The sides of an input: fixed, or names; none where it is no tensor of a known rank."""
    shape = _one(_one(_one(info, TYPE), TENSOR), SHAPE)
    return [_side(value) for number, value in _fields(_bytes(shape)) if number == DIM]


def _side(dim: memoryview | int) -> Side:
    """A side; some exporters write a dynamic one as a negative number."""
    found = dict(_fields(_bytes(dim)))
    value = found.get(DIM_VALUE)
    if isinstance(value, int) and value < 1 << MOST_SHIFT:
        return value
    return _text(found.get(DIM_NAME, memoryview(b"")))


def _one(message: memoryview | int, number: int) -> memoryview | int:
    """The last field of a number, which holds; empty where there is none."""
    return dict(_fields(_bytes(message))).get(number, memoryview(b""))


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """The fields of a message by their numbers: whole numbers, or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        length, at = _varint(message, at) if kind == DELIMITED else (FIXED[kind], at)
        if at + length > len(message):
            raise ValueError("cut off")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
        if shift > MOST_SHIFT:
            raise ValueError("no number is as long")


def _bytes(value: memoryview | int) -> memoryview:
    if isinstance(value, int):
        raise TypeError("a number where a message is to be")
    return value


def _text(value: memoryview | int) -> str:
    return str(_bytes(value), "utf-8", "replace")
