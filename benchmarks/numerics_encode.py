"""How fast formats encode and decode, on one core, beside ml_dtypes on the same values in the same run.

Run `python benchmarks/numerics_encode.py`; it prints medians in millions of values a second.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import ml_dtypes
import numpy as np

from simulator.numerics import get_format

SPECS = """int8 fix8.5 e4m3 ue4m4b9 e4m3fn e5m2ieee fp16 bf16 fp32
    log8.1 log8.1(5,8,7) log16 posit8.1 posit9.1""".split()  # noqa: SIM905 - easier to read
ML_DTYPES = {
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e5m2ieee": ml_dtypes.float8_e5m2,
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,  # numpy's own
}
VALUES = 1 << 20
REPEATS = 15


@dataclass(frozen=True, slots=True)
class Rate:
    """Millions of values a second, medians; None where ml_dtypes has no such format."""

    spec: str
    encode_float32: float
    encode_float64: float
    decode: float
    ml_dtypes_encode_float32: float | None
    ml_dtypes_decode: float | None


def encode_rates(values: int = VALUES, repeats: int = REPEATS) -> list[Rate]:
    """Rates of every format in SPECS on normally distributed values."""
    narrow = (np.random.default_rng(0).standard_normal(values) * 10).astype(np.float32)
    wide = narrow.astype(np.float64)
    rates = []
    for spec in SPECS:
        fmt, dtype = get_format(spec), ML_DTYPES.get(spec)
        codes = fmt.encode(narrow)

        def rate(work: Callable[..., object], *arguments: object) -> float:
            return values / median_seconds(partial(work, *arguments), repeats) / 1e6

        rates.append(
            Rate(
                spec,
                encode_float32=rate(fmt.encode, narrow),
                encode_float64=rate(fmt.encode, wide),
                decode=rate(fmt.decode, codes),
                ml_dtypes_encode_float32=rate(narrow.astype, dtype) if dtype else None,
                ml_dtypes_decode=rate(codes.view(dtype).astype, np.float64) if dtype else None,
            )
        )
    return rates


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of `work`, after one run that warms caches and compiles."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    columns = ("encode f32", "encode f64", "decode", "ml_dtypes enc", "ml_dtypes dec")
    print(f"{'M values/s':<15}" + "".join(f"{column:>15}" for column in columns))
    for rate in encode_rates():
        figures = (
            rate.encode_float32,
            rate.encode_float64,
            rate.decode,
            rate.ml_dtypes_encode_float32,
            rate.ml_dtypes_decode,
        )
        print(f"{rate.spec:<15}" + "".join("-".rjust(15) if f is None else f"{f:>15,.0f}" for f in figures))


if __name__ == "__main__":
    main()
