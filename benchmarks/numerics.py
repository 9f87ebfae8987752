"""How fast matrix products and switching activity run, on one core, beside BLAS in the same run.

Run `python -m benchmarks.numerics`; it prints CPU-time medians in 10^9 MACs a second, then CPU seconds for
all products of ResNet-50 (batch 1) and for counting their switching activity. `--quick` leaves out ResNet-50.
`benchmarks/numerics_encode.py` measures conversions.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: one core for BLAS, as for everything else

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.figures import cpu_spread
from simulator.numerics import Mac, get_mac, preset_names
from simulator.numerics.activity import switching_activity
from simulator.numerics.engines.planner import multiply
from simulator.workload import load_network

M, K, N = 784, 1152, 256
REPEATS = 5
MORE = ("ue4m4b9 x e3m4b5", "e5m2 x e5m2", "int4 x int4", "fp16 x fp16")


def tensors(mac: Mac, m: int, k: int, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Activations after a ReLU and normal weights, scaled as a network's tensors are, as codes."""
    rng = np.random.default_rng(seed)
    scale = 40.0 if mac.spec.activation.startswith("int") else 1.0
    a = np.maximum(rng.standard_normal((m, k), np.float32), 0) * scale
    w = rng.standard_normal((k, n), np.float32) * scale * 0.5
    return mac.activation.encode(a), mac.weight.encode(w)


def product_rates() -> None:
    macs = M * K * N
    a, w = np.random.default_rng(0).standard_normal((M, K)), np.random.default_rng(1).standard_normal((K, N))
    blas = {}
    for dtype in (np.float32, np.float64):
        narrow = (a.astype(dtype), w.astype(dtype))
        blas[dtype] = cpu_spread(partial(np.matmul, *narrow), 15).rates(macs / 1e9).median
        print(f"{np.dtype(dtype).name + ' BLAS':<20}{'':<12}{blas[dtype]:>8.2f} GMAC/s")
    for name in (*preset_names(), *MORE):
        mac = get_mac(name)
        codes = tensors(mac, M, K, N)
        result = multiply(mac, *codes)
        rate = cpu_spread(partial(multiply, mac, *codes, threads=1), REPEATS).rates(macs / 1e9).median
        share = f"{rate / blas[np.float64]:>6.0%} of float64 BLAS"
        print(f"{name:<20}{result.engine:<12}{rate:>8.2f} GMAC/s {share}  ({result.reason})")


def activity_rates() -> None:
    macs = M * K * N
    for name in preset_names():
        mac = get_mac(name)
        codes = tensors(mac, M, K, N)
        rates = []
        for flow in ("os", "ws", "is"):
            count = partial(switching_activity, mac, *codes, flow, threads=1)
            rates.append(f"{flow} {cpu_spread(count, 3).rates(macs / 1e9).median:5.2f}")
        print(f"{name:<20}{'activity':<12}" + "   ".join(rates) + "  GMAC/s")


def resnet50() -> None:
    """Every layer's product once, on random tensors of its shape; CPU seconds by MAC."""
    layers = load_network("resnet50").layers
    total = sum(layer.macs for layer in layers)
    print(f"\nresnet50, {total / 1e9:.3f} GMAC, CPU seconds for all products")
    print(f"{'MAC':<12}{'product':>9}{'os':>9}{'ws':>9}  switching activity")
    for name in preset_names():
        mac, seconds = get_mac(name), {"product": 0.0, "os": 0.0, "ws": 0.0}
        for layer in layers:
            for _ in range(layer.groups):
                codes = tensors(mac, layer.m, layer.k, layer.n_per_group)
                works: dict[str, Callable[[], object]] = {
                    "product": partial(multiply, mac, *codes, threads=1),
                    "os": partial(switching_activity, mac, *codes, "os", threads=1),
                    "ws": partial(switching_activity, mac, *codes, "ws", threads=1),
                }
                for what, work in works.items():
                    start = time.process_time()
                    work()
                    seconds[what] += time.process_time() - start
        print(f"{name:<12}" + "".join(f"{value:>9.2f}" for value in seconds.values()))


def main() -> None:
    print(f"M = {M}, K = {K}, N = {N}, one core, medians of CPU time")
    product_rates()
    activity_rates()
    if "--quick" not in sys.argv:
        resnet50()


if __name__ == "__main__":
    main()
