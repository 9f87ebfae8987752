"""How fast formats encode and decode a million float32 values, beside ml_dtypes or a plain copy."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Final

import numpy as np

from benchmarks.figures import Figure, Section, cpu_spread
from simulator.numerics import get_format

RUNS: Final = 9
VALUES: Final = 1 << 20
MILLIONS: Final = VALUES / 1e6
FORMATS: Final = ("int8", "e4m3fn", "e5m2ieee", "bf16", "fp16", "log8.1", "posit8.1")
LIBRARY_TYPES: Final = {"e4m3fn": "float8_e4m3fn", "e5m2ieee": "float8_e5m2", "bf16": "bfloat16"}


def section(runs: int = RUNS) -> Section:
    """Millions of values a second."""
    found = Section("Encoding and decoding, one core")
    values = (np.random.default_rng(0).standard_normal(VALUES) * 10).astype(np.float32)
    copy = cpu_spread(values.copy, runs).rates(MILLIONS)
    library = import_module("ml_dtypes") if find_spec("ml_dtypes") else None
    if library is None:
        found.skipped.append("ml_dtypes, which is not installed: a copy stands beside the rates instead")
    for spec in FORMATS:
        fmt = get_format(spec)
        codes = fmt.encode(values)
        peer_name, encode, decode = "copying float32", copy, copy
        dtype = np.dtype(np.float16) if spec == "fp16" else None
        if library is not None and spec in LIBRARY_TYPES:
            dtype = np.dtype(getattr(library, LIBRARY_TYPES[spec]))
        if dtype is not None:
            peer_name = "numpy" if spec == "fp16" else "ml_dtypes"
            encode = cpu_spread(partial(values.astype, dtype), runs).rates(MILLIONS)
            decode = cpu_spread(partial(codes.view(dtype).astype, np.float64), runs).rates(MILLIONS)
        rates = cpu_spread(partial(fmt.encode, values), runs).rates(MILLIONS)
        found.figures.append(Figure(f"encode {spec}", "M values/s", rates, peer_name, encode))
        rates = cpu_spread(partial(fmt.decode, codes), runs).rates(MILLIONS)
        found.figures.append(Figure(f"decode {spec}", "M values/s", rates, peer_name, decode))
    return found
