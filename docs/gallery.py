"""Draw every figure that can be drawn here into docs/gallery, and write docs/gallery.md about them.

    python docs/gallery.py

Figures are of the records in results/ and of what the papers published, as `archbench plot all
--overlay` draws them.
"""

from __future__ import annotations

from pathlib import Path

from archbench.api import cost_spec
from archbench.records import Store
from archbench.report.figures.contract import Missing
from archbench.report.figures.drawing import draw, save
from archbench.report.figures.material import Material
from archbench.report.figures.registry import FIGURES

DOCS = Path(__file__).parent
FOLDER = DOCS / "gallery"
APART = ("intel-xeon-2-threads-pairs",)
"""Folders of records that another machine has more of: one figure shows one machine."""
HEAD = """# Gallery

Every figure of `archbench plot` that the records in `results/` (but for a second machine's pairs)
and the published figures can draw, as `archbench plot all --overlay` draws them;
`python docs/gallery.py` rewrites this page. With records of your own, `archbench plot NAME` draws
the same of your device.
"""


def main() -> None:
    """Draw the pictures and write the page."""
    records = [
        record
        for folder in sorted((DOCS.parent / "results").iterdir())
        if folder.is_dir() and folder.name not in APART
        for record in Store(folder).read()
    ]
    material = Material(records, "both", layers=lambda spec: cost_spec(spec).calls)
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    parts, missing = [HEAD], []
    for figure in FIGURES:
        for made in figure.make(material):
            if isinstance(made, Missing):
                missing.append(f"- `{made.name}` ({figure.origin}): {made.why}")
                continue
            picture, vector = save(draw(made), FOLDER, made.name)
            vector.unlink()
            parts.append(
                f"## {made.name}\n\n{made.title}; "
                f"{made.where}.\n\n![{made.title}](gallery/{picture.name})\n"
            )
            print(picture)
    parts.append("\n".join(["## Not drawn yet\n", *missing, ""]))
    (DOCS / "gallery.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
