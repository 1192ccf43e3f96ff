"""What a network would take that nobody has measured, by networks that were measured on the device.

A call takes so much a multiply-add, a depthwise multiply-add, a byte and a call of a layer; the
four are fitted to the records of one setup. A network is never predicted by networks of its own
families. How far such predictions lie from what was measured is found by predicting every network
of the others so, and gives each prediction its interval. Torch-free.
"""

from archbench.report.data.prediction.asked import Answer, answers
from archbench.report.data.prediction.predictor import Error, Prediction, Predictor, Refusal
from archbench.report.data.prediction.setup import PREDICTED, Networks, SetupPredictor
from archbench.report.data.prediction.work import Network, Sample, Work

__all__ = [
    "PREDICTED",
    "Answer",
    "Error",
    "Network",
    "Networks",
    "Prediction",
    "Predictor",
    "Refusal",
    "Sample",
    "SetupPredictor",
    "Work",
    "answers",
]
