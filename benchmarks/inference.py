"""CPU seconds of `systolic infer` on 1,000 images: every MAC and bundled network, each a process of its own.

Run `python benchmarks/inference.py [NETWORK ...] [--mac MAC ...]`. Beside each network stands onnxruntime in
float32 on the same images, also as a whole process, in the same run. Times are those of user and system code
on all cores, imports included; a first, short run of each MAC compiles what is not in the cache yet.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys

from simulator.foundation.resources import resolve_document
from simulator.numerics import preset_names

NETWORKS = ("lenet5_fashion", "resnet8_fashion", "vit_fashion")
IMAGES = "fashion_mnist_1000"
FLOAT32_RUN = """
import sys
import onnxruntime
from simulator.inference import load_images
session = onnxruntime.InferenceSession(sys.argv[1])
session.run(None, {session.get_inputs()[0].name: load_images(sys.argv[2]).images})
"""


def cpu_seconds(*arguments: str) -> float:
    """User and system time of a Python process on all cores.

    Raises:
        CalledProcessError: the process failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def infer_seconds(network: str, mac: str) -> float:
    """CPU seconds of `systolic infer` with compiled code in the cache."""
    command = ("-m", "simulator", "infer", network, "--data", IMAGES, "--mac", mac, "--quiet")
    cpu_seconds(*command, "--images", "100")
    return cpu_seconds(*command)


def float32_seconds(network: str) -> float:
    """CPU seconds of onnxruntime on the same images."""
    path = resolve_document(network, "workloads", ".onnx", what="trained network")
    return cpu_seconds("-c", FLOAT32_RUN, str(path), IMAGES)


def main() -> None:
    """Print a table, one network after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--mac", nargs="+", default=preset_names())
    chosen = parser.parse_args()
    for network in chosen.networks:
        print(f"{network}: onnxruntime float32 {float32_seconds(network):.2f} CPU s")
        for mac in chosen.mac:
            print(f"  {mac:10} {infer_seconds(network, mac):6.2f} CPU s", flush=True)
    print("load average over 1, 5 and 15 minutes: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))


if __name__ == "__main__":
    main()
