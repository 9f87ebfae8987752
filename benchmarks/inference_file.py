"""CPU seconds an image and peak memory of `systolic infer` on your own network and arrays, for every MAC.

Run `python benchmarks/inference_file.py MODEL ARRAYS [--mac MAC ...] [--images N] [--preprocess HOW]`.
ARRAYS is an .npz or .npy file as `--data` takes it, so that no time goes into decoding. Each MAC is a process
of its own, on all cores, imports and calibration included; a first, short run compiles what is not cached.
Beside them stands onnxruntime in float32, one thread, one image at a time, its import not included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

from simulator.numerics import preset_names

FLOAT32_RUN = """
import json, sys, time
import onnxruntime
from simulator.inference import load_data, load_model
data = load_data(sys.argv[2], load_model(sys.argv[1]), preprocess=sys.argv[4] or None).first(int(sys.argv[3]))
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
name = session.get_inputs()[0].name
images = data.images[:]
session.run(None, {name: images[:1]})
start = time.process_time()
for place in range(len(images)):
    session.run(None, {name: images[place : place + 1]})
print((time.process_time() - start) / len(images))
"""


def infer(model: str, data: str, mac: str, images: int, preprocess: str) -> tuple[float, float, float]:
    """CPU seconds and wall seconds of a whole `systolic infer`, and its peak memory in GB.

    Raises:
        CalledProcessError: the process failed.
    """
    how = ["--preprocess", preprocess] if preprocess else []
    command = ["infer", model, "--data", data, "--mac", mac, "--images", str(images), "--quiet", *how]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "simulator", *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1e6


def float32_seconds(model: str, data: str, images: int, preprocess: str) -> float:
    """CPU seconds of onnxruntime for one image."""
    command = [sys.executable, "-c", FLOAT32_RUN, model, data, str(images), preprocess]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(found.stdout))


def main() -> None:
    """Print a table, one MAC after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--mac", nargs="+", default=preset_names())
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--preprocess", default="")
    chosen = parser.parse_args()
    given = (chosen.model, chosen.data)
    reference = float32_seconds(*given, min(chosen.images, 50), chosen.preprocess)
    print(f"onnxruntime float32, 1 thread, batch 1: {1000 * reference:.2f} CPU ms an image")
    for mac in chosen.mac:
        infer(*given, mac, 2, chosen.preprocess)
        cpu, wall, memory = infer(*given, mac, chosen.images, chosen.preprocess)
        each = cpu / chosen.images
        print(
            f"  {mac:10} {1000 * each:7.1f} CPU ms an image, {each / reference:5.1f} x onnxruntime,"
            f" {wall:6.1f} s for {chosen.images} images, {memory:.2f} GB",
            flush=True,
        )
    again = float32_seconds(*given, min(chosen.images, 50), chosen.preprocess)
    print(f"onnxruntime again: {1000 * again:.2f} CPU ms an image")
    print("load average over 1, 5 and 15 minutes: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))


if __name__ == "__main__":
    main()
