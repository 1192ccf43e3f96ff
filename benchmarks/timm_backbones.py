"""Stand backbones of timm under five detectors: built and counted by shape, and run on the CPU.

    python benchmarks/timm_backbones.py [--run] [--detector NAME ...] [NAME ...]

Each backbone's count, under the first that it stands under, is held against torch's own counter;
with --run that pair computes, at a small input if it takes one, and finds boxes. A cell says how
the pair stands: `yes`, its options (`pyramid=simple`: on a simple pyramid), another size (the next
that the backbone takes, or its own), or `no`, with the reason below.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

import archbench
from archbench.spec import OptionValue, parse_value
from archbench.zoo.contracts import Backbone

DETECTORS = {
    "refinedet": "320x320",
    "ssd": "300x300",
    "retinanet": "800x800",
    "yolov3": "416x416",
    "faster-rcnn-fpn": "1344x800",
}
BACKBONES = """
resnet50 resnext50_32x4d seresnet50 resnest26d res2net50_26w_4s resnetv2_50 densenet121 vgg16_bn
dla34 hrnet_w18_small dpn68 inception_v4 xception41 mobilenetv2_100 mobilenetv3_large_100
mobilenetv4_conv_small efficientnet_b0 tf_efficientnetv2_s mixnet_s ghostnet_100 rexnet_100
regnety_008 repvgg_a0 repvit_m1 cspdarknet53 cs3darknet_s ese_vovnet19b_dw selecsls42 tresnet_m
nfnet_l0 botnet26t_256 halonet26t convnext_tiny convnextv2_atto edgenext_small fasternet_t0
starnet_s1 mambaout_femto inception_next_tiny hgnetv2_b0 efficientvit_b0 efficientformer_l1
efficientformerv2_s0 fastvit_t8 mobileone_s0 mobilevit_s poolformer_s12 caformer_s18
swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 maxvit_tiny_rw_224 coatnet_0_rw_224 pvt_v2_b0
twins_svt_small davit_tiny focalnet_tiny_srf mvitv2_tiny hiera_tiny_224 tiny_vit_5m_224
nextvit_small xcit_nano_12_p16_224 vit_tiny_patch16_224 vit_small_patch14_dinov2
vit_small_patch16_dinov3 deit_tiny_patch16_224 samvit_base_patch16
"""
SMALL = "128x128"
"""The input at which pairs are run."""
NEXT_SIZE = re.compile(r"; it takes (\d+x\d+)$")
OPTION = re.compile(r"--option (\w+)=(\w+)")


@dataclass
class Pair:
    """How a backbone stands under a detector."""

    backbone: str
    detector: str
    size: str
    options: dict[str, OptionValue] = field(default_factory=dict)
    refusal: str = ""
    macs_g: float = 0.0
    torch_agrees: bool | None = None
    runs: bool | None = None

    @property
    def cell(self) -> str:
        """What the table says of it."""
        if self.refusal:
            return "no"
        wrong = " (torch counts otherwise)" if self.torch_agrees is False else ""
        wrong += " (does not run)" if self.runs is False else ""
        changed = [self.size] * (self.size != DETECTORS[self.detector])
        changed += [f"{key}={value}" for key, value in self.options.items()]
        return (" ".join(changed) or "yes") + wrong


def stand(pair: Pair) -> None:
    """Build and count a pair as it can be: at the size asked for or one that its refusal names, and
    with the options that it names.
    """
    for _ in range(3):
        try:
            asked = {"size": pair.size, **pair.options}
            report = archbench.cost(f"timm:{pair.backbone}", pair.detector, **asked)
        except archbench.UsageError as error:
            pair.refusal = str(error).partition(" cannot be built: ")[2] or str(error)
            other, options = NEXT_SIZE.search(pair.refusal), OPTION.findall(pair.refusal)
            if other and other[1] != pair.size:
                pair.size = other[1]
            elif options and not pair.options:
                pair.options = {key: parse_value(value) for key, value in options}
            else:
                return
        else:
            pair.refusal, pair.macs_g = "", report.macs_all / 1e9
            return


def _check(pair: Pair) -> None:
    asked = {"size": pair.size, **pair.options}
    built = archbench.build(f"timm:{pair.backbone}", pair.detector, device="meta", **asked)
    backbone = next(module for module in built.modules() if isinstance(module, Backbone))
    width, height = map(int, pair.size.split("x"))
    images = torch.empty(1, 3, height, width, device="meta")
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        backbone(images)
    ours = archbench.count(backbone, images).macs_all
    pair.torch_agrees = 2 * ours == counter.get_total_flops()


def _run(pair: Pair) -> None:
    small = replace(pair, size=SMALL)
    stand(small)
    size = pair.size if small.refusal else small.size
    built = archbench.build(f"timm:{pair.backbone}", pair.detector, size=size, **pair.options)
    width, height = map(int, size.split("x"))
    with torch.inference_mode():
        raw = built(torch.randn(1, 3, height, width))
        pair.runs = len(built.postprocess(raw)) == 1


def row(name: str, detectors: Sequence[str], *, run: bool) -> list[Pair]:
    """Stand a backbone under each detector; the first that it stands under is checked and run."""
    pairs = [Pair(name, detector, DETECTORS[detector]) for detector in detectors]
    for pair in pairs:
        stand(pair)
    for first in [pair for pair in pairs if not pair.refusal][:1]:
        _check(first)
        if run:
            _run(first)
    return pairs


def main() -> None:
    """Print the table, a row as it is found, and then why what cannot be cannot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="store_true", help="run each under the first, on the CPU")
    parser.add_argument("--detector", action="append", choices=[*DETECTORS], dest="detectors")
    parser.add_argument("names", nargs="*", metavar="NAME")
    asked = parser.parse_args()
    detectors = asked.detectors or [*DETECTORS]
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    found = []
    print("| backbone | " + " | ".join(f"{d} {DETECTORS[d]}" for d in detectors) + " |")
    print("|---" * (1 + len(detectors)) + "|")
    for name in asked.names or BACKBONES.split():
        pairs = row(name, detectors, run=asked.run)
        cells = [f"{pair.cell}{f', {pair.macs_g:.2f} G' * (not pair.refusal)}" for pair in pairs]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        found.append(pairs)
    stands = [sum(not pair.refusal for pair in pairs) for pairs in found]
    ran = sum(any(pair.runs for pair in pairs) for pairs in found)
    print(
        f"\n{len(found)} backbones: {sum(n >= 3 for n in stands)} under at least three detectors,"
    )
    print(f"{sum(n == len(detectors) for n in stands)} under all of them; {ran} ran.\n")
    for pair in (pair for pairs in found for pair in pairs if pair.refusal):
        print(f"- {pair.backbone} + {pair.detector}: {pair.refusal}")


if __name__ == "__main__":
    main()
