"""Figures as SVG that stands in a page: only what is drawn, its identifiers told apart from other
figures'. Loads matplotlib.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

from archbench.report.figures.contract import Plot
from archbench.report.figures.drawing import draw, svg
from archbench.report.figures.style import SCREEN

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
LINK = f"{{{XLINK}}}href"
NOT_DRAWN = (f"{{{SVG}}}metadata", f"{{{SVG}}}style")
"""What a page must not take over: a style in an SVG holds for all of the page."""
WORDLESS = replace(SCREEN, has_words=False)


def inline_svg(plot: Plot) -> str:
    """Draw a figure as an SVG element; its title is the element's label, and its words are left to
    the page.
    """
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    # Parsing drops comments, in which matplotlib repeats what it wrote.
    root = ElementTree.fromstring(svg(draw(plot, WORDLESS)))
    for parent in root.iter():
        for child in [child for child in parent if child.tag in NOT_DRAWN]:
            parent.remove(child)
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, f"{plot.name}-{value}")
            elif name == LINK:
                element.set(name, f"#{plot.name}-{value.removeprefix('#')}")
            elif "url(#" in value:
                element.set(name, re.sub(r"url\(#", f"url(#{plot.name}-", value))
    root.attrib.pop("width")
    root.attrib.pop("height")
    root.attrib |= {"role": "img", "aria-label": plot.title}
    return ElementTree.tostring(root, encoding="unicode")
