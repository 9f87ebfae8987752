"""Measure number formats on a trained classifier and a folder of images that you have; resumable.

python -m tools.imagenet_evidence MODEL.onnx FOLDER --store DIR --preprocess scale=1,mean=127,std=128
python -m tools.imagenet_evidence MODEL.onnx FOLDER --store DIR --only int8 "e4m3 x e4m3"   # some MACs
python -m tools.imagenet_evidence MODEL.onnx FOLDER --store DIR --images 20                 # a quick look
python -m tools.imagenet_evidence MODEL.onnx FOLDER --store DIR --device gpu                # on a GPU
python -m tools.imagenet_evidence --store DIR --page docs/imagenet.md                       # write the page

Points are measured one after the other, the most telling ones first; what the store has is not measured again. One process
calibrates once for all its points; the outputs in float32 are kept in the store.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulator import __version__
from simulator.foundation import UserError
from simulator.foundation.reading.content import sha256_of
from simulator.foundation.reading.limits import LARGEST_ONNX_BYTES
from simulator.inference import Data, Model, get_policy, load_data, load_model, plan_network, run_plan
from simulator.inference.calibration import Calibrations
from simulator.inference.float32_outputs import Float32Outputs, float32_outputs
from simulator.inference.policies.mixed import smallest_widths
from simulator.numerics.gpu import Device, chosen_device
from tools.evidence_points import Point, points
from tools.evidence_store import EvidenceStore, Measurement

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Shared:
    """What all points have in common: calibration and, on the CPU, the outputs in float32."""

    calibrations: Calibrations
    float32: Float32Outputs | None


def measure(
    model: Model, data: Data, point: Point, shared: Shared, device: Device | None = None
) -> Measurement:
    """Run all images through a point's arithmetic, on the CPU where no device is given, beside float32."""
    begin = time.monotonic()
    if point.fixed_weights:
        policy = get_policy(point.policy or "mixed")
        plan = smallest_widths(model, data, policy, weights="fixed", calibrations=shared.calibrations).plan
    else:
        plan = plan_network(model, data, point.mac, point.policy, calibrations=shared.calibrations)
    result = run_plan(model, data, plan, device=device, reference=shared.float32)
    return Measurement(
        result.accuracy,
        result.warnings,
        tuple(sorted(set(result.engines.values()))),
        dt.datetime.now(dt.UTC).date().isoformat(),
        __version__,
        round(time.monotonic() - begin, 1),
    )


def measure_all(
    model: Model,
    data: Data,
    wanted: tuple[Point, ...],
    store: EvidenceStore,
    tell: Tell,
    device: Device | None = None,
) -> None:
    """Measure what the store does not have; a point that cannot be measured is told and left out.

    Without a device, float32 runs once for the store, and what it gave is kept there.
    """
    missing = [point for point in wanted if store.find(point) is None]
    if not missing:
        return
    float32 = None if device is not None else store.float32(lambda: float32_outputs(model, data))
    shared = Shared(Calibrations(model, data.for_calibration), float32)
    for index, point in enumerate(wanted, 1):
        label = f"{index}/{len(wanted)} {point.name}"
        if point not in missing:
            continue
        try:
            measurement = measure(model, data, point, shared, device)
        except UserError as error:
            tell(f"{label}: {error}")
            continue
        store.keep(point, measurement)
        top1 = measurement.accuracy.top1
        shown = "no labels" if top1 is None else f"{100 * top1:.1f} %"
        tell(f"{label}: {shown}, {measurement.wall_s:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--store", type=Path, required=True, help="folder of finished points")
    parser.add_argument("--preprocess", help="as `systolic infer --preprocess`")
    parser.add_argument("--images", type=int, help="only the first so many images")
    parser.add_argument("--only", nargs="+", metavar="MAC", help="only points with these MACs")
    parser.add_argument("--device", default="cpu", help="cpu or gpu (docs/gpu.md); the figures are the same")
    parser.add_argument("--page", type=Path, help="write what the store has as a page, and measure nothing")
    arguments = parser.parse_args()
    try:
        if arguments.page is not None:
            from tools.imagenet_page import write_page

            write_page(arguments.page, arguments.store)
            return
        if arguments.model is None or arguments.folder is None:
            parser.error("give a model and a folder of images, or --page")
        model = load_model(str(arguments.model))
        data = load_data(str(arguments.folder), model, preprocess=arguments.preprocess).first(
            arguments.images
        )
        identity = {
            "model": arguments.model.name,
            "model_sha256": sha256_of(arguments.model, most_bytes=LARGEST_ONNX_BYTES),
            "images": len(data.images),
            "preprocess": data.facts.preprocess,
            "labels_from": data.facts.labels_from,
        }
        wanted = tuple(point for point in points() if not arguments.only or point.mac in arguments.only)
        measure_all(
            model,
            data,
            wanted,
            EvidenceStore(arguments.store, identity),
            lambda text: print(text, flush=True),
            chosen_device(arguments.device),
        )
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
