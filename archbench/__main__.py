"""`python -m archbench`."""

from __future__ import annotations

from archbench.cli.main import main

main()
