"""Exact inference of a bundled network beside onnxruntime, and peak memory for 100 and 500 images.

`python -m benchmarks.inference_parts MODEL DATA` measures a network and images of your own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

import numpy as np

from benchmarks.figures import ROOT, Figure, Section, Spread
from benchmarks.inference_file import float32_seconds
from benchmarks.inference_parts import parts

NETWORK: Final = str(ROOT / "workloads" / "resnet8_fashion.onnx")
DATA: Final = str(ROOT / "workloads" / "fashion_mnist_1000.npz")
MACS: Final = ("int8", "fp8", "posit8", "bf16", "fp32", "elma8", "fp16", "elma16")
IMAGES: Final = 100
RUNS: Final = 3
_PEAK: Final = """
import resource, sys
from simulator.inference import infer, load_data, load_model
model = load_model(sys.argv[1])
data = load_data(sys.argv[2], model).first(int(sys.argv[3]))
infer(model, data, "int8")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def section(runs: int = RUNS) -> Section:
    """CPU milliseconds an image, everything but start-up and calibration, and MiB of whole processes."""
    found = Section(f"Inference of resnet8_fashion, {IMAGES} images of 28 x 28")
    peer = None
    if find_spec("onnxruntime") is None:
        found.skipped.append("onnxruntime, which is not installed: nothing stands beside the times")
    else:
        peer = Spread.of([1000 * float32_seconds(NETWORK, DATA, IMAGES, "") for _ in range(runs)])
    by_itself = [_image_ms([mac], runs) for mac in MACS]
    for mac, image in zip(MACS, by_itself, strict=True):
        found.figures.append(
            Figure(mac, "ms an image", image, "onnxruntime, one thread, batch 1" if peer else "", peer)
        )
    found.figures.append(
        Figure(
            f"the {len(MACS)} together, one float32 reference",
            "ms an image",
            _image_ms(MACS, runs),
            "the sum of the medians above",
            Spread.of([sum(image.median for image in by_itself)]),
        )
    )
    few, many = (Spread.of([_peak_mib(count) for _ in range(runs)]) for count in (100, 500))
    found.figures.append(Figure("peak memory, int8, 500 images", "MiB", many, "100 images", few))
    pixels = np.load(DATA)["images"].dtype.itemsize * 28 * 28
    found.notes.append(
        f"Peak memory is that of the process, of which 400 more images are {400 * pixels / 2**20:.1f} MiB in"
        f" the file."
    )
    return found


def _image_ms(macs: Sequence[str], runs: int) -> Spread:
    return Spread.of([1000 * parts(NETWORK, DATA, macs, IMAGES, "", 1)[2] for _ in range(runs)])


def _peak_mib(images: int) -> float:
    command = [sys.executable, "-c", _PEAK, NETWORK, DATA, str(images)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return float(done.stdout)
