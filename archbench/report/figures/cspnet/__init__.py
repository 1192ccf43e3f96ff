"""CSPNet's figures: 1, networks with and without partial stages; 4 (and the fusion of Figure 6),
accuracy over BFLOPs; 7 and 8, layers.

BFLOPs are 2e9 multiply-adds. The accuracy is always the published one.
"""

from archbench.report.figures.cspnet.fusions import fusion
from archbench.report.figures.cspnet.overview import csp_overview
from archbench.report.figures.cspnet.per_layer import layer_io, layers

__all__ = ["csp_overview", "fusion", "layer_io", "layers"]
