"""CPU seconds of inference on your own network and arrays, by part: start-up, calibration, each image.

Run `python -m benchmarks.inference_parts MODEL DATA [--mac MAC ...] [--images N] [--runs R]`. Each MAC is a
process of its own on all cores, with compiled code in its cache (a first, short run compiles it). Start-up is
imports and reading the network, calibration is what `plan_network` does, an image is a share of `run_plan`:
float32 reference, MAC and comparison. Several MACs are measured once more together, as `systolic compare`
runs them, with one float32 reference for all. Beside them stands onnxruntime in float32, one thread, one
image at a time, measured in the same process before each run. Times are user and system CPU time, medians of
R runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from statistics import median

from simulator.numerics import preset_names

PARTS_RUN = """
import json, sys, time
from simulator.inference import load_data, load_model, plan_network
from simulator.inference.run_inference import run_plans
model = load_model(sys.argv[1])
started = time.process_time()
data = load_data(sys.argv[2], model, preprocess=sys.argv[4] or None).first(int(sys.argv[3]))
few, macs = data.first(2), sys.argv[5].split(",")
run_plans(model, few, [plan_network(model, few, mac) for mac in macs])
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
name, images = session.get_inputs()[0].name, data.images[:]
session.run(None, {name: images[:1]})
parts = {"start-up": started, "calibration": [], "image": [], "onnxruntime": []}
for _ in range(int(sys.argv[6])):
    before = time.process_time()
    for place in range(len(images)):
        session.run(None, {name: images[place : place + 1]})
    parts["onnxruntime"].append((time.process_time() - before) / len(images))
    before = time.process_time()
    plans = [plan_network(model, data, mac) for mac in macs]
    planned = time.process_time()
    run_plans(model, data, plans)
    parts["calibration"].append(planned - before)
    parts["image"].append((time.process_time() - planned) / len(data.images))
print(json.dumps(parts))
"""


def parts(
    model: str, data: str, macs: Sequence[str], images: int, preprocess: str, runs: int
) -> tuple[float, ...]:
    """CPU seconds of start-up, of calibration, of an image, and of an image in onnxruntime.

    Raises:
        CalledProcessError: the process failed.
    """
    command = [
        sys.executable,
        "-c",
        PARTS_RUN,
        model,
        data,
        str(images),
        preprocess,
        ",".join(macs),
        str(runs),
    ]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found["start-up"], *(median(found[part]) for part in ("calibration", "image", "onnxruntime"))


def main() -> None:
    """Print a table, one MAC after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--mac", nargs="+", default=preset_names())
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--preprocess", default="")
    chosen = parser.parse_args()
    given = (chosen.model, chosen.data)
    for macs in [*([mac] for mac in chosen.mac), *([chosen.mac] if len(chosen.mac) > 1 else [])]:
        start, calibration, image, peer = parts(*given, macs, chosen.images, chosen.preprocess, chosen.runs)
        name = macs[0] if len(macs) == 1 else f"all {len(macs)}"
        print(
            f"  {name:10} start-up {start:5.2f} s, calibration {calibration:5.2f} s, an image"
            f" {1000 * image:6.1f} ms: {image / peer:5.1f} x onnxruntime ({1000 * peer:.2f} ms)",
            flush=True,
        )
    print("load average over 1, 5 and 15 minutes: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))


if __name__ == "__main__":
    main()
