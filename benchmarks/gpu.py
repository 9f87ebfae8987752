"""How fast exact products and whole networks run on a GPU, beside what the card could do.

    python -m benchmarks.gpu [--quick]
    python -m benchmarks.gpu --network model.onnx --data folder --mac elma8 --preprocess imagenet

Without a GPU it says that it skipped. Products: codes on the device to accumulators on the device, in 10^12
MACs a second, medians of calls in a row; their bound is the operation that the kernel needs once for each MAC
(see `BOUNDS`), at the card's highest clock, and for float64 the card's BLAS in the same run. Networks:
seconds with everything included, the first run of the process (which compiles) and the median of later ones,
after the outputs of the first `--compared` images were compared with the CPU's bit for bit.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from simulator.foundation import UserError
from simulator.inference import infer, load_data, load_model
from simulator.numerics import Mac, get_mac, multiply, preset_names
from simulator.numerics.gpu import Device, open_device
from simulator.numerics.gpu.device_sums import DeviceSums, Operand, multiply_batches

SHAPES = ((6272, 1152, 256), (12544, 576, 64), (4096, 2304, 1024))
REPEATS = 20
IN_A_ROW = 5
BOUNDS = {
    "elma8": ("one 32-bit load from shared memory a lane", 32),
    "fp16": ("half-precision FMA", 256),
    "fp8_fp16": ("half-precision FMA", 256),
    "bf16": ("float32 FMA", 128),
    "fp32": ("float32 FMA", 128),
}
"""Operations a clock and multiprocessor on compute capability 9.0 (CUDA C++ Programming Guide, throughput of
arithmetic instructions; shared memory has 32 banks of 4 bytes)."""


def seconds_on(device: Device, work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median seconds of `work` on the device's own clock, after three runs; so many follow each other."""
    xp = device.xp
    for _ in range(3):
        work()
    seconds = []
    for _ in range(repeats):
        start, end = xp.cuda.Event(), xp.cuda.Event()
        start.record()
        for _ in range(IN_A_ROW):
            work()
        end.record()
        end.synchronize()
        seconds.append(float(xp.cuda.get_elapsed_time(start, end)) / 1e3 / IN_A_ROW)
    return statistics.median(seconds)


def tensors(mac: Mac, m: int, k: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Activations after a ReLU and normal weights, scaled as a network's tensors are, as codes."""
    rng = np.random.default_rng(0)
    scale = 40.0 if mac.spec.activation.startswith("int") else 1.0
    a = np.maximum(rng.standard_normal((m, k), np.float32), 0) * scale
    w = rng.standard_normal((k, n), np.float32) * scale * 0.5
    return mac.activation.encode(a), mac.weight.encode(w)


def bound(device: Device, name: str, double_rate: float) -> tuple[float, str]:
    """10^12 MACs a second that the card could do, and what limits it."""
    if name in BOUNDS and device.xp.cuda.Device().compute_capability == "90":
        what, per_clock = BOUNDS[name]
        attributes = device.xp.cuda.Device().attributes
        rate = per_clock * attributes["MultiProcessorCount"] * attributes["ClockRate"] * 1e3
        return rate / 1e12, what
    return double_rate, "float64 BLAS of this shape in the same run"


def product_rates(device: Device, *, check: bool) -> None:
    xp = device.xp
    for m, k, n in SHAPES:
        macs = m * k * n
        x, y = xp.random.standard_normal((m, k)), xp.random.standard_normal((k, n))
        double_rate = macs / seconds_on(device, lambda x=x, y=y: xp.matmul(x, y)) / 1e12  # type: ignore[misc]
        print(f"\nM{m} K{k} N{n}: float64 BLAS {double_rate:.2f} TMAC/s")
        for name in preset_names():
            mac = get_mac(name)
            codes = tensors(mac, m, k, n)
            a, w = (xp.asarray(each)[None] for each in codes)
            left, right = Operand(a, "activation"), Operand(w, "weight")

            def work(mac: Mac = mac, left: Operand = left, right: Operand = right) -> DeviceSums:
                found = multiply_batches(device, mac, left, right)
                assert isinstance(found, DeviceSums)
                return found

            found = work()
            rate = macs / seconds_on(device, work) / 1e12
            limit, what = bound(device, name, double_rate)
            same = _same_rows(device, mac, codes, found) if check else "not compared"
            print(
                f"{name:<10}{rate:>8.3f} TMAC/s {rate / limit:>6.0%} of {limit:6.2f} ({what}); {same};"
                f" {found.reason}"
            )


def _same_rows(device: Device, mac: Mac, codes: tuple[np.ndarray, np.ndarray], found: DeviceSums) -> str:
    """Some rows of the product beside the CPU's."""
    rows = 64
    wanted = multiply(mac, codes[0][:rows], codes[1]).accumulators
    same = np.array_equal(device.to_host(found.accumulators[0, :rows]), wanted)
    return f"{rows} rows {'equal' if same else 'DIFFER FROM'} the CPU's"


def network(device: Device, options: argparse.Namespace) -> None:
    """One network, in one MAC or in several."""
    model = load_model(options.network)
    data = load_data(options.data, model, preprocess=options.preprocess)
    for mac in options.mac:
        few = data.first(options.compared)
        start = time.perf_counter()
        result = infer(model, few, mac, device=device)
        first = time.perf_counter() - start
        compared = "not compared"
        if options.compared and not options.quick:
            wanted = infer(model, few, mac)
            compared = "equal" if _equal(result, wanted) else "DIFFERENT"
        times = []
        whole = data.first(options.images)
        for _ in range(options.runs):
            start = time.perf_counter()
            result = infer(model, whole, mac, device=device)
            times.append(time.perf_counter() - start)
        images = result.accuracy.images
        print(
            f"{model.name} {mac}: {len(few.images)} images first {first:.2f} s, outputs, layers and counts"
            f" against the CPU: {compared}; {images} images {statistics.median(times):.2f} s"
            f" ({min(times):.2f} to {max(times):.2f}, {options.runs} runs),"
            f" {1e3 * statistics.median(times) / images:.2f} ms an image, agreement with float32"
            f" {result.accuracy.agreement_with_float32}",
            flush=True,
        )
        for note in result.notes:
            print(f"  {note}")


def _equal(found: Any, wanted: Any) -> bool:
    bits = all(
        np.array_equal(a.view(np.uint32), b.view(np.uint32))
        for a, b in ((found.logits, wanted.logits), (found.float32_logits, wanted.float32_logits))
    )
    return bits and found.layers == wanted.layers and found.sums == wanted.sums


def main() -> None:
    parser = argparse.ArgumentParser(description="Products and networks on a GPU.")
    parser.add_argument("--quick", action="store_true", help="no comparison with the CPU")
    parser.add_argument("--network", help="an .onnx file or a bundled network in place of products")
    parser.add_argument("--data", default="fashion_mnist_1000")
    parser.add_argument("--preprocess", default=None)
    parser.add_argument("--mac", action="append", default=[])
    parser.add_argument("--images", type=int, default=None)
    parser.add_argument("--compared", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    options.mac = options.mac or ["elma8"]
    try:
        device = open_device()
    except UserError as error:
        print(f"skipped: {error}")
        return
    runtime = device.xp.cuda.runtime.runtimeGetVersion()
    print(f"{device.name}, CUDA runtime {runtime}, CuPy {device.xp.__version__}")
    if options.network:
        network(device, options)
    else:
        product_rates(device, check=not options.quick)


if __name__ == "__main__":
    main()
