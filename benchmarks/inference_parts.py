"""CPU seconds of inference on your own network and arrays, by part: start-up, calibration, each image.

Run `python -m benchmarks.inference_parts MODEL DATA [--mac MAC ...] [--images N] [--runs R]`. Each MAC is a
process of its own on all cores, with compiled code in its cache (a first, short run compiles it). Start-up is
imports and reading the network, calibration is what `plan_network` does, an image is a share of `run_plan`:
float32 reference, MAC and comparison. Beside them stands onnxruntime in float32, one thread, one image at a
time, measured in the same process before each run. Times are user and system CPU time, medians of R runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from statistics import median

from simulator.numerics import preset_names

PARTS_RUN = """
import json, sys, time
from simulator.inference import load_data, load_model, plan_network, run_plan
model = load_model(sys.argv[1])
started = time.process_time()
data = load_data(sys.argv[2], model, preprocess=sys.argv[4] or None).first(int(sys.argv[3]))
few, mac = data.first(2), sys.argv[5]
run_plan(model, few, plan_network(model, few, mac))
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
    plan = plan_network(model, data, mac)
    planned = time.process_time()
    run_plan(model, data, plan)
    parts["calibration"].append(planned - before)
    parts["image"].append((time.process_time() - planned) / len(data.images))
print(json.dumps(parts))
"""


def parts(model: str, data: str, mac: str, images: int, preprocess: str, runs: int) -> tuple[float, ...]:
    """CPU seconds of start-up, of calibration, of an image, and of an image in onnxruntime.

    Raises:
        CalledProcessError: the process failed.
    """
    command = [sys.executable, "-c", PARTS_RUN, model, data, str(images), preprocess, mac, str(runs)]
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
    for mac in chosen.mac:
        start, calibration, image, peer = parts(*given, mac, chosen.images, chosen.preprocess, chosen.runs)
        print(
            f"  {mac:10} start-up {start:5.2f} s, calibration {calibration:5.2f} s, an image"
            f" {1000 * image:6.1f} ms: {image / peer:5.1f} x onnxruntime ({1000 * peer:.2f} ms)",
            flush=True,
        )
    print("load average over 1, 5 and 15 minutes: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))


if __name__ == "__main__":
    main()
