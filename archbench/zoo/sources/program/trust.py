"""What of an exported program could run code besides torch's operators. Torch-free.

Torch loads a program by evaluating its expressions, by finding its operators by their names and by
writing Python that its names stand in; pickles it takes too. None of it is checked there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from archbench.zoo.sources.program.archive import Archive

OPERATOR = re.compile(
    r"torch\.ops\.(?!(load_library|import_module|loaded_libraries)\.)[a-z]\w*(\.\w+){1,2}"
    r"|torch\.(sym_[a-z]+|_sym_[a-z]+)|math\.[a-z0-9]+"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_"
    r"|not_|xor|lshift|rshift|getitem|index)"
)
"""The names of what a graph may call."""
NAME = re.compile(r"[\w.:$/ +-]*")
"""Names that can stand in Python between quotes."""
WORD = re.compile(
    "Symbol|Integer|Rational|Float|Half|One|Zero|NegativeOne|(Negative)?Infinity|oo|int_oo"
    "|Add|Mul|Pow|Mod|PythonMod|Max|Min|Abs|floor|ceiling|And|Or|Not|Eq|Ne|Lt|Le|Gt|Ge"
    "|Equality|Unequality|(Strict)?(Less|Greater)Than|Piecewise|ExprCondPair|[tT]rue|[fF]alse"
    "|positive|negative|nonnegative|integer|real|evaluate|prec|precision"
    "|(Floor|Clean|Ceil)Div|(Int|Float)TrueDiv|ModularIndexing|Where|FloatPow|PowByNatural"
    "|[LR]Shift|TruncTo(Int|Float)|RoundToInt|RoundDecimal|ToFloat|Identity"
)
"""What an expression over sizes is made of, besides symbols."""
SYMBOL = re.compile(r"z?[suf]\d+|z?u[fi]?\d+|zuf\d+")
QUOTED = re.compile(r"'[A-Za-z_]\w*'")
MARKS = re.compile(r"[\d\s+\-*/%(),=<>&|~.]*")
COMPILED = ("data/aotinductor/", "data/mtia/", "data/executorch/")
OBJECTS = ("custom_obj", "opaque_obj")


def foreign_code(archive: Archive) -> str:
    """Say what in an archive could run code of its own; empty where nothing could but a pickle,
    which is loaded as tensors alone.
    """
    compiled = next((name for name in archive.names if name.startswith(COMPILED)), "")
    if compiled:
        return f"compiled code ({compiled})"
    for payload in archive.payloads:
        path = str(payload.get("path_name", ""))
        if path.startswith(OBJECTS):
            return f"a pickled object ({path})"
    return next(_foreign(archive.graph), "")


def _foreign(graph: Any) -> Iterator[str]:
    """What a graph holds that is no operator, no arithmetic and no name."""
    waiting = [graph]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        if not isinstance(item, dict):
            continue
        for key, value in item.items():
            if isinstance(value, str):
                if key in ("target", "as_operator") and not OPERATOR.fullmatch(value):
                    yield f"a call of {value[:60]!r}"
                elif key == "expr_str" and not is_arithmetic(value):
                    yield f"the expression {value[:60]!r}"
                elif (key == "name" or key.endswith("_name")) and not NAME.fullmatch(value):
                    yield f"the name {value[:60]!r}"
            elif key != "metadata":
                waiting.append(value)


def is_arithmetic(expression: str) -> bool:
    """Whether evaluating an expression does nothing but reckon with sizes."""
    left = QUOTED.sub("", expression)
    words = re.findall(r"[A-Za-z_]\w*", left)
    if not all(WORD.fullmatch(word) or SYMBOL.fullmatch(word) for word in words):
        return False
    # Points part digits alone: no attribute is looked up.
    return not re.search(r"\.\s*[A-Za-z_]", left) and bool(
        MARKS.fullmatch(re.sub(r"[A-Za-z_]\w*", "", left))
    )
