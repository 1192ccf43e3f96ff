"""What mkdocs calls while it builds the site: the reference pages are made from the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from from_code import api, claims, columns, commands, networks, reasons, schema, settings
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

MADE: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands.page,
    "reference/settings.md": settings.page,
    "reference/columns.md": columns.page,
    "reference/reasons.md": reasons.page,
    "reference/api.md": api.page,
    "reference/schema.md": schema.page,
    f"reference/{schema.FILE}": schema.as_json,
    "reference/networks.md": networks.networks,
    "papers/tables.md": networks.tables,
    "papers/claims.md": claims.page,
    "papers/approximate.md": networks.approximate,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made from the code to the pages that are written by hand."""
    for path, make in MADE.items():
        files.append(File.generated(config, path, content=make()))
    return files
