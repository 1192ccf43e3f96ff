"""`archbench.measure`: a network measured from Python."""

from archbench.measure.face.measuring import measure

__all__ = ["measure"]
