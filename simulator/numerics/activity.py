"""Switching activity: how many bits every PE register class toggles during a matrix product, counted exactly.

What is counted, on an array of R rows and C columns, all R C PEs, also those that a partial fold leaves
unused, is what the registers of `simulator.array.grid` hold after each clock edge, from cleared registers on,
with folds that do not overlap:

- Operands enter at the edges and pass through whole rows or columns, one register a PE. Zeros pass while the
  array fills and drains, so that registers start each fold from zero's pattern and return to it, behind the
  last fold too. (A single output-stationary PE needs no edge of zeros between two folds and gets none.)
- `os`: the activations of a row of outputs move right, the weights of a column move down, sums stay and grow;
  when the fold ends they shift down and out, zeros following (`drain`).
- `ws`: a fold's weights move down into place, the lowest row's first. A register takes only weights of the
  new fold, over the weight of the fold before (the first fold's over zero). Folds run over k within columns.
  Activations stream to the right. Partial sums move down, through idle rows below the last weight too: from
  zero in the first fold of a column, from what the fold before has left in later ones, which enters at the
  top. They are zero again when the stream has passed.
- `is`: the same with activations in place (columns are output pixels) and weights streaming.

Where an infinite or NaN operand meets the zeros of unused PEs, float accumulators become NaN there as well.

A product register is the wire between multiplier and adder: an increment in two's complement, with the fewest
bits that hold every one. Fused MACs have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.dataflow import SUMS_MOVE, SUMS_STAY, Dataflow, DataflowName, OperandClass, get_dataflow
from simulator.foundation import UserError
from simulator.numerics import operand_stationary, output_stationary
from simulator.numerics.array_types import Codes
from simulator.numerics.engines.planner import checked_operands
from simulator.numerics.engines.threads import available_cores
from simulator.numerics.formats.code_tables import has_special
from simulator.numerics.mac import Mac
from simulator.numerics.operand_stationary import STREAM_BLOCK
from simulator.numerics.register_activity import (
    CONFIDENCE,
    RegisterActivity,
    SwitchingActivity,
    total_activity,
)
from simulator.numerics.sampling import PeArray, Sample

"""A dataflow's name."""


def switching_activity(
    mac: Mac,
    a_codes: npt.ArrayLike,
    w_codes: npt.ArrayLike,
    dataflow: DataflowName,
    *,
    rows: int = 32,
    columns: int = 32,
    sampled_units: int | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> SwitchingActivity:
    """Toggles of activations [M, K] times weights [K, N] on an array of `rows` x `columns` PEs.

    Args:
        mac: the MAC of every PE.
        a_codes: activation codes [M, K].
        w_codes: weight codes [K, N].
        dataflow: its name in `simulator.dataflow.DATAFLOWS`.
        rows: PE rows.
        columns: PE columns.
        sampled_units: count accumulators and products on this many folds (or blocks of a fold's stream)
            drawn without replacement, scale up and give a standard error; at least 2. A block of a later fold
            needs the product of all k before it. Operands are always exact. None: count all.
        seed: of the draw.
        threads: at most this many; all cores by default. The counts do not depend on it.

    Raises:
        UserError: shapes that do not match, codes outside their formats, an unknown dataflow, too few units.
    """
    a, w = checked_operands(mac, a_codes, w_codes)
    flow = get_dataflow(dataflow)
    if min(rows, columns) < 1:
        raise UserError("the array needs at least one row and one column", value=(rows, columns))
    if sampled_units is not None and sampled_units < 2:
        raise UserError("a standard error needs at least 2 sampled units", value=sampled_units)
    macs = a.shape[0] * a.shape[1] * w.shape[1]
    if mac.accumulator.carries_specials and (has_special(mac.activation, a) or has_special(mac.weight, w)):
        a, w = _with_unused_pes(mac, a, w, flow, rows, columns)
    array = PeArray(*flow.turn(rows, columns), None if sampled_units is None else Sample(sampled_units, seed))
    threads = threads or available_cores()
    if flow.circuit.sums_stay:
        counted = _COUNTS[flow.entering[0]](mac, a, w, array, threads)
    else:
        counted = operand_stationary.count(mac, a, w, flow.upright, array, threads)
    return replace(counted, dataflow=dataflow, rows=rows, columns=columns, macs=macs)


def _count_turned(mac: Mac, a: Codes, w: Codes, array: PeArray, threads: int) -> SwitchingActivity:
    """Outputs that stay with N along the rows: the transposed product, its operands exchanged."""
    counted = output_stationary.count(operand_stationary.swapped(mac), w.T, a.T, array, threads)
    return replace(counted, activation=counted.weight, weight=counted.activation)


_COUNTS: Final[Mapping[OperandClass, Callable[[Mac, Codes, Codes, PeArray, int], SwitchingActivity]]] = {
    "activation": output_stationary.count,
    "weight": _count_turned,
}
"""How toggles are counted where outputs stay, by the operand that enters at the left."""


def _with_unused_pes(
    mac: Mac, a: Codes, w: Codes, flow: Dataflow, rows: int, columns: int
) -> tuple[Codes, Codes]:
    """Operands filled up with the zeros that unused PEs multiply: infinity times those is NaN."""
    a_rows, w_columns = flow.places("m", rows, columns), flow.places("n", rows, columns)
    a_zero, w_zero = (int(fmt.encode(0.0)) for fmt in (mac.activation, mac.weight))
    return (
        np.pad(a, ((0, -a.shape[0] % a_rows), (0, 0)), constant_values=a_zero),
        np.pad(w, ((0, 0), (0, -w.shape[1] % w_columns)), constant_values=w_zero),
    )


def expected_units(
    M: int, N: int, K: int, dataflow: DataflowName, *, rows: int = 32, columns: int = 32
) -> int:
    """How many units a sampled count of an M x K times K x N product draws from."""
    flow, lengths = get_dataflow(dataflow), {"m": M, "n": N, "k": K}
    folds = ceil(lengths[flow.rows] / rows) * ceil(lengths[flow.columns] / columns)
    # Where sums stay a unit is a whole fold, however long it streams.
    units = {SUMS_STAY: 1, SUMS_MOVE: ceil(lengths[flow.time] / STREAM_BLOCK)}
    return folds * units[flow.circuit]


__all__ = [
    "CONFIDENCE",
    "Dataflow",
    "RegisterActivity",
    "SwitchingActivity",
    "expected_units",
    "switching_activity",
    "total_activity",
]
