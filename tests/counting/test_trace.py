"""One pass over a network: operators' spellings, paths, activation peak."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from bodies import Body
from torch import nn

import archbench
from archbench.counting.inputs import Inputs
from archbench.counting.passes import count_module, whole
from archbench.counting.report import CostReport
from archbench.counting.tally import ALIGNMENT
from archbench.zoo import catalogue

MIB = 1 << 20


def without_peak(report: CostReport) -> dict[str, Any]:
    return {
        key: value
        for key, value in report.totals().items()
        if not key.startswith(("activation", "bytes"))
    }


@pytest.mark.parametrize(
    "pair",
    [("resnet50",), ("vgg16",), ("densenet121",), ("resnet50-gn",), ("vovnet39", "refinedet")],
    ids="+".join,
)
def test_both_spellings_of_the_operators_count_alike(pair: tuple[str, ...]) -> None:
    """Whole operators under inference mode, decomposed ones under no_grad; views of the decomposed
    ones may round differently.
    """
    spec = catalogue.resolve(*pair).spec
    network = archbench.build(*pair, device="meta")
    images = torch.empty(1, 3, spec.height, spec.width, device="meta")
    reports = [
        count_module(network, Inputs((images,)), spelling=context)
        for context in (whole, torch.no_grad)
    ]
    peaks = [report.activation_peak_bytes for report in reports]
    assert abs(peaks[0] - peaks[1]) < 16 * 1024
    assert without_peak(reports[0]) == without_peak(reports[1])
    rows = [
        [(c.op, c.path, c.macs, c.params, c.mac_eq1, c.cio) for c in report.calls]
        for report in reports
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(6, 8, 3, padding="same"), (2, 6, 9, 9)),
        (nn.ConvTranspose2d(6, 8, 3, 2, groups=2), (2, 6, 9, 9)),
        (nn.Conv1d(6, 8, 3), (2, 6, 9)),
        (nn.Conv3d(6, 8, 3), (2, 6, 5, 5, 5)),
        (nn.Linear(7, 4), (2, 7)),
        (nn.Linear(7, 4), (2, 5, 7)),
        (nn.Linear(7, 4, bias=False), (2, 5, 7)),
        (nn.MaxPool2d(2), (2, 3, 8, 8)),
        (nn.AvgPool2d(2), (2, 3, 8, 8)),
        (nn.AdaptiveAvgPool2d(1), (2, 3, 8, 8)),
        (nn.AdaptiveMaxPool2d(2), (2, 3, 8, 8)),
        (nn.BatchNorm2d(3), (2, 3, 8, 8)),
        (nn.BatchNorm1d(3), (2, 3)),
    ],
    ids=lambda value: str(value).replace(" ", ""),
)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_both_spellings_of_a_layer_count_alike(
    layer: nn.Module, shape: tuple[int, ...], device: str
) -> None:
    def counted(context: Any) -> tuple[Any, ...]:
        report = count_module(layer, Inputs((torch.empty(shape),)), device=device, spelling=context)
        return (
            report.macs,
            report.mac_eq1,
            report.mac_bound,
            report.cio_pool,
            report.bn_elements,
            [c.params for c in report.calls],
        )

    assert counted(whole) == counted(torch.no_grad)


def moved(layer: nn.Module, *shape: int) -> int:
    return archbench.count(layer, shape).bytes_all // 4


def test_all_bytes_are_inputs_weights_and_outputs_of_every_operator() -> None:
    conv = nn.Conv2d(4, 8, 1, bias=False)
    of_conv = 2 * (4 + 8) * 64 + 4 * 8
    of_map = 2 * 8 * 64
    assert moved(conv, 2, 4, 8, 8) == of_conv
    for layer, more in (
        (nn.ReLU(), 2 * of_map),
        (nn.ReLU(inplace=True), 2 * of_map),
        (nn.BatchNorm2d(8), 2 * of_map + 4 * 8),
        (nn.Flatten(), 0),
        (nn.Dropout(), 0),
        (nn.Identity(), 0),
        (Body(lambda _, x: x.unsqueeze_(0).transpose_(3, 4).squeeze_(0).detach_()), 0),
        (nn.AvgPool2d(2), of_map + of_map // 4),
    ):
        assert moved(nn.Sequential(conv, layer), 2, 4, 8, 8) == of_conv + more, layer


@pytest.mark.parametrize(
    ("name", "peak"), [("resnet50", 9.95), ("vgg16", 24.50), ("densenet201", 9.57)]
)
def test_activation_peak(name: str, peak: float) -> None:
    assert archbench.cost(name).activation_peak_bytes / MIB == pytest.approx(peak, abs=0.01)


def test_the_peak_is_of_what_is_alive_at_once() -> None:
    """Of a chain of maps only two live at a time; the input and the parameters are not counted."""
    kib = nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(5)))
    report = archbench.count(kib, (1, 4, 32, 32))
    assert report.activation_peak_bytes == 2 * 4 * 32 * 32 * 4
    assert report.activation_peak_at == "1 (conv2d)"
    assert (
        archbench.count(nn.Conv2d(4, 4, 1), (1, 4, 32, 32)).activation_peak_bytes == 4 * 32 * 32 * 4
    )


def test_work_in_place_and_views_allocate_nothing() -> None:
    plain = nn.Sequential(nn.Conv2d(4, 4, 1))
    inplace = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True), nn.Flatten())
    copying = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())
    peaks = [
        archbench.count(module, (1, 4, 32, 32)).activation_peak_bytes
        for module in (plain, inplace, copying)
    ]
    assert peaks == [16384, 16384, 32768]


def test_what_lives_across_a_branch_is_counted() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = kept = self.layers[0](x)
            for layer in self.layers[1:]:
                y = layer(y)
            return y + kept

    report = archbench.count(Skip(), (1, 4, 32, 32))
    assert report.activation_peak_bytes == 3 * 16384


def test_sizes_are_rounded_up_as_an_allocator_does() -> None:
    assert archbench.count(nn.Conv2d(3, 1, 1), (1, 3, 3, 3)).activation_peak_bytes == ALIGNMENT


def test_calls_know_their_module() -> None:
    calls = archbench.cost("vovnet27-slim", "refinedet").calls
    assert (calls[0].path, calls[0].in_shape) == ("backbone.stem.0", (1, 3, 320, 320))
    assert calls[-1].path == "odm.3.logits"
    assert {call.path.split(".")[0] for call in calls} == {
        "backbone",
        "top",
        "arm",
        "transfers",
        "odm",
    }


def test_a_detector_reports_its_boxes_and_a_classifier_has_none() -> None:
    assert archbench.cost("vovnet27-slim", "refinedet").boxes == 6375
    assert archbench.cost("vovnet27-slim").boxes is None


def test_totals_are_plain_data_of_every_counted_word() -> None:
    totals = archbench.cost("vovnet27-slim", "refinedet").totals()
    report = archbench.cost("vovnet27-slim", "refinedet")
    words = (
        "params macs flops paper_flops mac_eq1 mac_bound cio cio_pool bn_elements "
        "activation_peak_bytes boxes uncounted"
    )
    assert totals.keys() >= set(words.split())
    assert totals["macs"] == sum(call.macs for call in report.calls)
    assert totals["paper_flops"] == report.macs + report.bn_elements
    assert json.loads(json.dumps(totals)) == totals


class Shared(nn.Module):
    """A submodule under two names and, in another submodule, one of its parameters."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3))
        self.blocks = nn.ModuleList([block, block])
        self.other = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.other.weight = block[0].weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        out: torch.Tensor = self.other(x)
        return out


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_what_is_shared_counts_at_each_use_and_stays_as_it_is(device: str) -> None:
    module = Shared().eval()
    images = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    before = module(images)
    report = count_module(module, Inputs((images,)), device=device)
    assert (report.params, report.macs) == (81 + 6, 3 * 81 * 64)
    assert {tensor.device.type for tensor in (*module.parameters(), *module.buffers())} == {"cpu"}
    assert torch.equal(module(images), before)
