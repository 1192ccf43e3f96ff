"""Hold networks in ONNX Runtime and OpenVINO against eager: does each export, and is it the same?

    python benchmarks/engines.py                            # every kind of detector, small inputs
    python benchmarks/engines.py --batch 2 "resnet18 -d centernet256"
    python benchmarks/engines.py --export-only --catalogue  # one of every family

Each network is a process of its own, one at a time. Its weights are drawn and calibrated as for a
measurement. It is run on random numbers and on a picture: where random inputs look alike to a
network, a broken engine may pass. A row says how long the export took and how large the file is,
and of each engine the largest difference of an output over the largest number of the reference, and
on each of the two inputs the shares of boxes chosen inside the network and of final detections that
are the same. Where an output is the same and detections are not, look at their scores: of a network
without normalisation many are 1, and which of them are kept hangs on the last digit.
"""

from __future__ import annotations

import argparse
import gc
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NETWORKS = (
    "resnet18 -d rfcn --size 224 --proposals 50",
    "resnet18 -d rfcn-caffe --size 224 --proposals 50",
    "vgg16 -d faster-rcnn-caffe --size 224 --proposals 30",
    "resnet18 -d faster-rcnn-c4 --size 224 --proposals 30",
    "resnet18 -d faster-rcnn-fpn --size 256 --proposals 50",
    "resnet18 -d mask-rcnn-fpn --size 256 --proposals 50",
    "snet49 -d thundernet --size 192",
    "resnet18 -d ttfnet --size 128",
    "darknet53 -d yolov3 --size 96",
    "cspresnext50 -d panet-spp --size 96",
    "efficientnet-b0 -d prn --size 96",
    "vgg16 -d m2det --size 320",
    "hourglass104 -d cornernet --size 127",
    "mobilenet",
    "vovnet27-slim",
    "resnet18",
    "hardnet39ds",
    "densenet121",
    "csp-peleenet",
    "resnet18 -d faster-rcnn --size 224 --proposals 30",
    "resnet18 -d centernet --size 128",
    "vovnet39 -d refinedet --size 192",
    "vgg16 -d ssd300",
    "ds-64-64-16-1 -d dsod300",
    "resnet18 -d retinanet --size 128",
)
ENGINES = ("onnxruntime", "openvino")
BACKBONES = ("resnet18", "vgg16", "mobilenet", "darknet53", "peleenet", "hourglass104", "snet49")
"""On which of these first a detector can be built it is exported."""
THREADS = 2


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", help="as `archbench profile` takes them")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--catalogue", action="store_true", help="one network of every family")
    parser.add_argument("--export-only", action="store_true")
    parser.add_argument("--limit-s", type=float, default=600)
    parser.add_argument("--json", type=Path, help="a file to which each row is appended")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Print a row a network."""
    given = arguments()
    if given.one:
        print(json.dumps(hold(given.networks[0], given.batch, given.export_only)))
        return 0
    networks = given.networks or (catalogue() if given.catalogue else NETWORKS)
    heading = ("network", "export s", "MB", *(f"{e}: error, chosen, matched" for e in ENGINES))
    print(_line(heading))
    for network in networks:
        row = in_a_process(network, given)
        if given.json:
            with given.json.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
        print(_line(_cells(row)), flush=True)
    return 0


def catalogue() -> Iterator[str]:
    """A network of each family of detectors, on the first of some backbones that it can be built
    on, and one of each family of backbones.
    """
    import archbench
    from archbench.spec import UsageError
    from archbench.zoo.catalogue import entries

    for kind in ("detector", "backbone"):
        known = [each for each in entries(kind) if not each.published_only]
        for entry in {each.family: each for each in reversed(known)}.values():
            if kind == "backbone":
                yield entry.name
                continue
            for backbone in BACKBONES:
                try:
                    archbench.build(backbone, entry.name, device="meta")
                except UsageError:
                    continue
                yield f"{backbone} -d {entry.name}"
                break


def in_a_process(network: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run one network in a process of its own, so that its memory is free afterwards."""
    asked = [sys.executable, __file__, "--one", "--batch", str(given.batch), network]
    asked += ["--export-only"] * given.export_only
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=given.limit_s)
    except subprocess.TimeoutExpired:
        return {"network": network, "why_not": f"longer than {given.limit_s:g} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"network": network, "why_not": f"ended with {done.returncode}: {last}"}
    return {"network": network, **json.loads(done.stdout.strip().splitlines()[-1])}


def hold(network: str, batch: int, export_only: bool) -> dict[str, Any]:
    """Export a network, run it in each engine and compare."""
    import torch

    from archbench.api import build_spec
    from archbench.engines.onnx import ExportError, export
    from archbench.measure.job.weights import calibrate, initialise

    torch.set_num_threads(THREADS)
    spec = spec_of(network, batch)
    module: Any = build_spec(spec)
    initialise(module, 0)
    generator = torch.Generator().manual_seed(0)
    shape = (3, spec.height, spec.width)
    random = torch.randn(batch, *shape, generator=generator)
    calibrate(module, torch.randn(2, *shape, generator=generator))
    inputs = {"random": random, "picture": pictures(module, batch, (spec.width, spec.height))}
    row: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            exported = export(module, random, path)
            row["export_s"] = round(exported.seconds, 1)
            row["mb"] = round(sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6)
            if export_only:
                return row
            row[ENGINES[0]] = agreement(module, ENGINES[0], path, inputs)
            if is_deformable(path):
                export(module, random, path, plain=frozenset({"deform_conv2d"}))
            row[ENGINES[1]] = agreement(module, ENGINES[1], path, inputs)
        except ExportError as error:
            return {"why_not": str(error)}
    return row


def is_deformable(path: Path) -> bool:
    """Whether a graph has deformable convolutions, which OpenVINO has no operator for."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    return any(node.op_type == "DeformConv" for node in graph.node)


def agreement(module: Any, engine: str, path: Path, inputs: Any) -> dict[str, Any]:
    """Run a file in an engine; gives how far it agrees with eager, or why it does not run."""
    try:
        return compared(module, RUNNERS[engine](path), inputs)
    except Exception as error:
        return {"why_not": str(error).strip().replace("\n", " ")[:300]}
    finally:
        gc.collect()


def spec_of(network: str, batch: int) -> Any:
    """Resolve a network as the command line writes it."""
    from archbench.zoo import catalogue

    parser = argparse.ArgumentParser()
    parser.add_argument("backbone")
    parser.add_argument("-d", "--detector")
    parser.add_argument("--size")
    parser.add_argument("--proposals", type=int)
    asked = parser.parse_args(shlex.split(network))
    options = {"proposals": asked.proposals} if asked.proposals else {}
    return catalogue.resolve(
        asked.backbone, asked.detector, size=asked.size, batch=batch, options=options
    ).spec


def pictures(module: Any, batch: int, size: tuple[int, int]) -> Any:
    """Prepare pictures of a sky, a ground and some things on it, as the network's paper does."""
    import torch

    from archbench.api import Backbone

    prepare = getattr(module, "preparation", Backbone.preparation)
    generator = torch.Generator().manual_seed(7)
    prepared = []
    for _ in range(batch):
        light = torch.linspace(220, 60, 375)[:, None].expand(375, 500)
        picture = torch.stack([light * tint for tint in (0.6, 0.8, 1.0)])
        for _ in range(12):
            left, top = (int(torch.randint(0, n, (), generator=generator)) for n in (440, 320))
            wide, tall = (int(torch.randint(20, 180, (), generator=generator)) for _ in range(2))
            tint = torch.rand((3, 1, 1), generator=generator) * 255
            picture[:, top : top + tall, left : left + wide] = tint
        picture += torch.randn(picture.shape, generator=generator) * 6
        prepared.append(prepare(picture.clamp(0, 255).to(torch.uint8), size).image)
    return torch.stack(prepared)


def compared(module: Any, run: Callable[[Any], Any], inputs: Any) -> dict[str, Any]:
    """Give how far an engine agrees with eager on each of the inputs, and the worse of both."""
    import torch

    from archbench.engines.agreement import chosen_share, dense_error
    from archbench.engines.matching import Same, compare_detections
    from archbench.engines.outputs import flattened, together

    row: dict[str, Any] = {}
    for name, images in inputs.items():
        with torch.no_grad():
            reference = module(images)
            form, _ = flattened(reference)
            given = together(form, [torch.from_numpy(each) for each in run(images.numpy())])
            detects = hasattr(module, "postprocess")
            same = compare_detections(module, given, reference) if detects else Same(0, 0)
        row[name] = {
            "error": dense_error(given, reference),
            "chosen": chosen_share(given, reference),
            "matched": same.share,
            "detections": same.most,
        }
    return row


def onnxruntime(path: Path) -> Callable[[Any], Any]:
    """Load a file into ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})


def openvino(path: Path) -> Callable[[Any], Any]:
    """Load a file into OpenVINO, in fp32."""
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": THREADS}
    compiled = openvino.compile_model(path, "CPU", settings)
    return lambda images: [each.copy() for each in compiled(images).values()]


RUNNERS = {"onnxruntime": onnxruntime, "openvino": openvino}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A row as text."""
    if "why_not" in row:
        return (row["network"], "", "", row["why_not"])
    return (
        row["network"],
        str(row["export_s"]),
        str(row["mb"]),
        *(_told(row[engine]) for engine in ENGINES if engine in row),
    )


def _told(found: dict[str, Any]) -> str:
    if "why_not" in found:
        return str(found["why_not"])[:120]
    worst = max(each["error"] for each in found.values())
    chosen, matched = (
        "/".join("-" if each[word] is None else f"{each[word]:.3f}" for each in found.values())
        for word in ("chosen", "matched")
    )
    return f"{worst:.1e}  {chosen}  {matched}"


def _line(cells: tuple[str, ...]) -> str:
    return "  ".join(
        cell.ljust(width) for cell, width in zip(cells, (44, 8, 5, 34, 34), strict=False)
    ).rstrip()


if __name__ == "__main__":
    sys.exit(main())
