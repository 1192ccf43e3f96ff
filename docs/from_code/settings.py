"""The page of settings: how a network is measured, from `archbench.settings`."""

from __future__ import annotations

from archbench.setting import Bearing, Setting
from archbench.settings import DEFAULT, QUICK, SETTINGS
from from_code.markdown import code, table, text

HEAD = """# Settings

How a network is measured. Every setting stands in the record; `profile` and `sweep` take the flags.
Where two records differ in a setting, one of three things follows:

"""


def page() -> str:
    """Write the page."""
    bearings = table(
        ["bearing", "what follows"],
        [[bearing.name.lower(), text(bearing.value)] for bearing in Bearing],
    )
    headings = ["setting", "flag", "default", "quick", "bearing", "meaning"]
    rows = [_row(name, declared) for name, declared in SETTINGS.items()]
    return f"{HEAD}{bearings}\n## The settings\n\n{table(headings, rows)}"


def _row(name: str, declared: Setting) -> list[str]:
    default, quick = getattr(DEFAULT, name), getattr(QUICK, name)
    flag = declared.flag or ""
    if default is True:
        flag = declared.arguments(False)[0]
    meaning = declared.help or f"{declared.words.capitalize()}."
    return [
        code(name),
        code(flag),
        _value(default),
        "" if quick == default else _value(quick),
        declared.bearing.name.lower(),
        text(meaning + (" CUDA devices only." if declared.cuda_only else "")),
    ]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else f"{value:,g}" if isinstance(value, int | float) else str(value)
