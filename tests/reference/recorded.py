"""Outputs of the published circuits, computed again from the inputs that they were recorded with.

The circuits are those behind Johnson 2018 (arXiv 1811.01721). Their recorded outputs are not part of this
repository. `stimuli.npz` holds the inputs only, and `recorded_sha256.toml` a SHA-256 of each recorded array;
`tests/numbers/test_recorded_outputs.py` holds what is computed here to these hashes. Nothing here imports the
simulator. `python -m tools.recorded_outputs FOLDER` compares the hashes with the recordings themselves.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.reference import formats, mac, scalesim
from tests.reference.formats import LogReference
from tests.reference.grid import OutputStationary, Sum

Arrays = dict[str, npt.NDArray[np.generic]]

STIMULI = Path(__file__).with_name("stimuli.npz")
HASHES = Path(__file__).with_name("recorded_sha256.toml")

TILE = 4
LOG8 = mac.Fixed("log8.1", "log8.1", bits=38, lsb=-24, log=True)
LOG16 = mac.Fixed("log16", "log16", bits=49, lsb=-32, log=True)
INT8 = mac.Fixed("int8", "int8", bits=32, lsb=0)
BETA5, BETA8 = LogReference(8, 1, beta=5, gamma=7), LogReference(8, 1, beta=8, gamma=7)


def sha256(array: npt.NDArray[np.generic]) -> str:
    """The hash of an array's shape and of its elements as 64-bit integers or floats; text as UTF-8 lines."""
    if array.dtype.kind == "U":
        content = "\n".join(array.tolist()).encode()
    else:
        content = array.astype("<f8" if array.dtype.kind == "f" else "<i8").tobytes()
    return hashlib.sha256(repr(array.shape).encode() + content).hexdigest()


@cache
def stimuli(record: str) -> Arrays:
    """The inputs of a record, by name."""
    with np.load(STIMULI) as file:
        return {name.partition("/")[2]: file[name] for name in file.files if name.startswith(f"{record}/")}


@cache
def recomputed(record: str) -> Arrays:
    """Inputs and outputs of a record; `RECORDS` has their names."""
    return {**stimuli(record), **RECORDS[record]()}


def _tables() -> Arrays:
    sizes = {
        "pow2": ((4, 5), (4, 8), (4, 11), (10, 11)),
        "log2": ((5, 7), (8, 7), (11, 10), (5, 4), (8, 4)),
    }
    entry = {"pow2": formats.pow2_entry, "log2": formats.log2_entry}
    return {
        f"{kind}_{inputs}x{outputs}": np.array(
            [entry[kind](fraction, inputs, outputs) for fraction in range(1 << inputs)]
        )
        for kind, pairs in sizes.items()
        for inputs, outputs in pairs
    }


def _log8_codes() -> Arrays:
    codes = range(256)
    sign, exponent, fraction, is_zero, is_inf = (
        np.array(column) for column in zip(*(mac.tapered_fields(code, 8, 1) for code in codes), strict=True)
    )
    linear = {
        alpha: [float(value) for value in formats.log_values(8, 1, alpha)] for alpha in (5, 8, 11)
    }  # "inf" becomes infinity
    sums = [0 if math.isinf(value) else int(Fraction(value) * 2**24) for value in linear[5]]
    true = [
        0.0 if zero else math.inf if infinite else (-1) ** int(s) * 2 ** (int(e) + int(f) / 16)
        for s, e, f, zero, infinite in zip(sign, exponent, fraction, is_zero, is_inf, strict=True)
    ]
    return {
        "sign": sign,
        "is_inf": is_inf,
        "is_zero": is_zero,
        "log_exp": exponent,
        "log_frac": fraction,
        **{f"f32_alpha{alpha}": np.array(values) for alpha, values in linear.items()},
        "true_log_value": np.array(true),
        "kulisch_lsb_alpha5": np.array(sums),
        "reencoded": np.array(
            [_converted(BETA5, total, bool(infinite)) for total, infinite in zip(sums, is_inf, strict=True)]
        ),
    }


def _converted(converter: LogReference, total: int, infinite: bool) -> int:
    return converter.infinity if infinite else converter.from_accumulator(total, 38, -24)


def _log8_products() -> Arrays:
    activations = list(range(0, 256, 5))
    products = [[LOG8.increment(a, w) for w in range(256)] for a in activations]
    return {
        "codes_a": np.array(activations),
        "increment": np.array([[LOG8.wrap(increment) for increment, _ in row] for row in products]),
        "is_inf": np.array([[infinite for _, infinite in row] for row in products]),
    }


def _log16_products() -> Arrays:
    given = stimuli("log16_products")
    products = [LOG16.increment(int(a), int(b)) for a, b in zip(given["a"], given["b"], strict=True)]
    return {
        "increment": np.array([LOG16.wrap(increment) for increment, _ in products]),
        "is_inf": np.array([infinite for _, infinite in products]),
    }


def _log8_mac_steps() -> Arrays:
    given = stimuli("log8_mac_steps")
    steps = [
        LOG8.step(int(total), int(a), int(b))
        for total, a, b in zip(given["acc_in"], given["a"], given["b"], strict=True)
    ]
    return {
        "acc_out": np.array([total for total, _, _ in steps]),
        "inf_out": given["inf_in"] | np.array([infinite for _, infinite, _ in steps]),
    }


def _accumulator_to_log8() -> Arrays:
    """Records with overflow detection on become the largest with beta 5, and zero with beta 8."""
    given = stimuli("accumulator_to_log8")
    flags = zip(given["acc"], given["is_inf"], given["is_overflow"], given["overflow_sign"], strict=True)
    rows = [tuple(int(value) for value in row) for row in flags]
    return {
        "code_beta5": np.array(
            [
                0x7F | sign << 7 if overflow and not infinite else _converted(BETA5, total, bool(infinite))
                for total, infinite, overflow, sign in rows
            ]
        ),
        "code_beta8": np.array(
            [
                0 if overflow and not infinite else _converted(BETA8, total, bool(infinite))
                for total, infinite, overflow, _ in rows
            ]
        ),
    }


def _float32_to_log8() -> Arrays:
    patterns = stimuli("float32_to_log8")["f32_bits"].tolist()
    return {
        "code_beta5": np.array([BETA5.from_float32(pattern) for pattern in patterns]),
        "code_beta8": np.array([BETA8.from_float32(pattern) for pattern in patterns]),
    }


def _add(unit: mac.Fixed) -> Callable[[Sum, int, int], Sum]:
    def add(total: Sum, a: int, w: int) -> Sum:
        result, infinite, _ = unit.step(total[0], a, w)
        return result, total[1] or infinite, 0

    return add


def _scheduled(record: str) -> Arrays:
    """A matrix product driven through the grid: reset, K + 2T - 2 multiply edges, T - 1 shift edges."""
    given = stimuli(record)
    a, b = given["A"], given["B"]
    length = a.shape[1]
    multiply = length + 2 * TILE - 2
    edges = 1 + multiply + TILE - 1
    inputs: Arrays = {
        "edge": np.arange(edges),
        "reset": np.arange(edges) == 0,
        "enableMul": (np.arange(edges) >= 1) & (np.arange(edges) <= multiply),
        "enableShiftOut": np.arange(edges) > multiply,
    }
    for lane in range(TILE):
        left, top = np.zeros(edges, np.int64), np.zeros(edges, np.int64)
        for k in range(length):
            left[1 + k + lane], top[1 + k + lane] = a[lane, k], b[k, lane]
        inputs |= {f"a{lane}": left, f"b{lane}": top}
    return inputs


def _grid(inputs: Arrays, unit: mac.Fixed, *, log: bool) -> Arrays:
    """Inputs and the bottom row after every edge."""
    grid = OutputStationary(TILE, TILE, _add(unit))
    bottoms = [
        grid.step(
            [int(inputs[f"a{lane}"][edge]) for lane in range(TILE)],
            [int(inputs[f"b{lane}"][edge]) for lane in range(TILE)],
            reset=bool(inputs["reset"][edge]),
            multiply=bool(inputs["enableMul"][edge]),
            shift_out=bool(inputs["enableShiftOut"][edge]),
        )
        for edge in range(len(inputs["edge"]))
    ]
    outputs: Arrays = {}
    for lane in range(TILE):
        totals = [bottom[lane][0] for bottom in bottoms]
        flags = [bottom[lane][1] for bottom in bottoms]
        if log:
            outputs[f"acc{lane}"], outputs[f"inf{lane}"] = np.array(totals), np.array(flags)
            outputs[f"code{lane}"] = np.array(
                [_converted(BETA5, total, flag) for total, flag in zip(totals, flags, strict=True)]
            )
        else:
            outputs[f"c{lane}"] = np.array(totals)
    return {**inputs, **outputs}


def _scalesim(network: str, dataflow: str) -> Arrays:
    rows = [asdict(report) for report in scalesim.reports(network, dataflow)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


RECORDS: dict[str, Callable[[], Arrays]] = {
    "tables": _tables,
    "log8_codes": _log8_codes,
    "log8_products": _log8_products,
    "log16_products": _log16_products,
    "log8_mac_steps": _log8_mac_steps,
    "accumulator_to_log8": _accumulator_to_log8,
    "float32_to_log8": _float32_to_log8,
    "int8_grid_t4_k12": lambda: _grid(_scheduled("int8_grid_t4_k12"), INT8, log=False),
    "log8_grid_t4_k12": lambda: _grid(_scheduled("log8_grid_t4_k12"), LOG8, log=True),
    "int8_grid_t4_random_control": lambda: _grid(stimuli("int8_grid_t4_random_control"), INT8, log=False),
    **{
        f"scalesim/{network}_{dataflow}": partial(_scalesim, network, dataflow)
        for network in scalesim.TOPOLOGIES
        for dataflow in scalesim.DATAFLOWS
    },
}
"""What was recorded, by the name of its file."""
