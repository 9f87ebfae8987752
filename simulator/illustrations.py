"""Pictures for a report: the bits and values of formats, and a small product on the register-level grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from simulator.array import ArrayTiming
from simulator.array import signals as sig
from simulator.array.drive import watch_fold
from simulator.array.grid import Grid
from simulator.array.grid_registers import Plane
from simulator.array.schedule import Phase, schedule_product
from simulator.dataflow import DATAFLOWS
from simulator.foundation import UserError
from simulator.numerics import Format, Mac, get_mac
from simulator.numerics.formats import TABLE_BITS
from simulator.numerics.formats.fixed_point import FixedPoint
from simulator.numerics.formats.minifloat import Minifloat
from simulator.numerics.formats.sign_magnitude import SignMagnitude
from simulator.numerics.formats.tapered_format import TaperedFormat
from simulator.report.pictures import Field, FormatPicture, GridFrame, GridRecording, Pictures
from simulator.result import Result

_SIDE: Final = 4
"""Rows and columns of the array that is recorded, and the sizes of its product but one."""

_LENGTH: Final = 5
"""Products of a sum in the recording."""

_MOST_VALUES: Final = 512


def pictures_of(result: Result) -> Pictures:
    """Formats of the array's MAC and a recording of it; what the result does not name is left out.

    A package that a format came from may be missing here, and results of other versions may name what this
    one does not know.
    """
    array = result.arch.get("array", {})
    blocks = array.get("column_blocks") or [array]
    choice, custom = blocks[0].get("mac"), result.arch.get("macs") or {}
    if choice is None:
        return Pictures()
    try:
        mac = get_mac(choice, custom=custom)
        return Pictures(formats_of(mac), record(mac, str(array.get("dataflow", ""))))
    except UserError:
        return Pictures()


def formats_of(mac: Mac) -> tuple[FormatPicture, ...]:
    """The operand formats of a MAC, one picture where both are the same."""
    if mac.activation == mac.weight:
        return (picture_of(mac.activation, "activations and weights"),)
    return picture_of(mac.activation, "activations"), picture_of(mac.weight, "weights")


def picture_of(fmt: Format, used_for: str) -> FormatPicture:
    """Bits and values of a format; values of formats beyond 16 bits are not listed."""
    finite = np.array([])
    if fmt.bits <= TABLE_BITS:
        values = fmt.values()
        finite = np.unique(values[np.isfinite(values)])
    exponents, counts = np.unique(np.frexp(finite[finite > 0])[1] - 1, return_counts=True)
    octaves = tuple(zip(exponents.tolist(), counts.tolist(), strict=True))
    shown = tuple(finite.tolist()) if finite.size <= _MOST_VALUES else ()
    return FormatPicture(fmt.spec, fmt.family, fmt.bits, bit_fields(fmt), shown, octaves, used_for)


def bit_fields(fmt: Format) -> tuple[Field, ...]:
    """What the bits of a code mean, from the highest down; of a family unknown here, `code` alone."""
    sign = [Field("sign", 1)] if fmt.signed else []
    rest = fmt.bits - len(sign)
    match fmt:
        case Minifloat():
            parts = [*sign, Field("exponent", fmt.exponent_field_bits), Field("fraction", fmt.fraction_bits)]
        case FixedPoint():
            fraction = min(max(fmt.fraction_bits, 0), rest)
            parts = [*sign, Field("integer", rest - fraction), Field("fraction", fraction)]
        case SignMagnitude():
            parts = [*sign, Field("magnitude", rest)]
        case TaperedFormat():
            # The regime takes 2 bits or more; exponent and fraction have what it leaves.
            exponent = min(fmt.exponent_field_bits, max(rest - 2, 0))
            regime = min(2, rest)
            parts = [
                *sign,
                Field("regime", regime, varies=True),
                Field("exponent", exponent),
                Field("fraction", rest - regime - exponent, varies=True),
            ]
        case _:
            parts = [*sign, Field("code", rest)]
    return tuple(part for part in parts if part.bits)


def record(mac: Mac, dataflow: str) -> GridRecording | None:
    """A product of 4 x 4 (or 5) x 5 on a 4 x 4 array, every edge of its only fold.

    None: an unknown dataflow, or a MAC with block scales.

    Operands are normal, activations rectified, from a fixed seed; they are encoded in the MAC's formats, and
    sums are what its PEs hold.
    """
    flow = DATAFLOWS.get(dataflow)
    if flow is None or mac.block_formats is not None:
        return None
    sizes = dict.fromkeys("mnk", _SIDE) | {flow.time: _LENGTH}
    m, n, k = sizes["m"], sizes["n"], sizes["k"]
    timing = ArrayTiming(
        rows=_SIDE,
        columns=_SIDE,
        dataflow=flow.name,
        pipeline_depth=mac.spec.pipeline_depth,
        accumulation_interval=mac.spec.accumulation_interval,
    )
    draw = np.random.default_rng(0)
    activations = mac.activation.encode(_fitted(np.maximum(draw.standard_normal((m, k)), 0), mac.activation))
    weights = mac.weight.encode(_fitted(draw.standard_normal((k, n)), mac.weight))
    fold = schedule_product(timing, m=m, n=n, k=k).phases_of(0)
    phases = (fold.fill, fold.compute, fold.drain)
    frames: list[GridFrame] = []
    watch_fold(
        timing,
        mac,
        activations,
        weights,
        0,
        lambda grid, cycle: frames.append(_frame(grid, cycle, mac, phases)),
    )
    return GridRecording(
        mac=mac.name,
        dataflow=flow.title,
        at_rows=flow.at_rows,
        at_columns=flow.at_columns,
        stays=flow.stays_title,
        shape=(m, n, k),
        frames=tuple(frames),
    )


def _fitted(values: Plane, fmt: Format) -> Plane:
    """Values on a scale that uses the format: integers of one digit where codes count equal steps."""
    return values if fmt.has_exponent else np.rint(values * 4) * 2.0**fmt.lsb


def _frame(grid: Grid, cycle: int, mac: Mac, phases: tuple[Phase, ...]) -> GridFrame:
    r, flow = grid.registers, grid.timing.flow
    phase = next((p.name for p in phases if p.first_cycle <= cycle <= p.last_cycle), "")
    busy = ((r.marks & sig.VALID) != 0) & (phase not in flow.circuit.rests_in)
    # Operands that stay are always shown; those that pass, where they are operands of this product.
    top_shown = np.logical_or(r.down_marks != 0, flow.circuit.preloads)
    at_left, at_top = flow.turn((r.across, r.marks != 0), (r.down, top_shown))
    lanes = np.arange(r.down.shape[1])
    loads = (lanes <= cycle) & (cycle < lanes + len(r.down))  # column j is preloaded from edge j on
    enters = flow.turn(busy[:, 0], np.where(flow.circuit.preloads, loads, top_shown[0]))
    formats: Mapping[str, Format] = {"activation": mac.activation, "weight": mac.weight}
    across = _told(formats[flow.at_rows], *map(grid.placed, at_left))
    down = _told(formats[flow.at_columns], *map(grid.placed, at_top))
    return GridFrame(
        cycle=cycle,
        phase=phase,
        left=tuple(row[0] if enters[0][place] else "" for place, row in enumerate(across)),
        top=tuple(text if enters[1][place] else "" for place, text in enumerate(down[0])),
        across=across,
        down=down,
        sums=_texts(mac.to_real(grid.accumulators.values)),
        busy=tuple(tuple(map(bool, row)) for row in grid.placed(busy).tolist()),
    )


def _told(fmt: Format, codes: Plane, shown: Plane) -> tuple[tuple[str, ...], ...]:
    values = _texts(fmt.decode(codes.astype(np.int64) & ((1 << fmt.bits) - 1)))
    return tuple(
        tuple(text if is_shown else "" for text, is_shown in zip(row, of_row, strict=True))
        for row, of_row in zip(values, shown.tolist(), strict=True)
    )


def _texts(values: ArrayLike) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(f"{value:.3g}" for value in row) for row in np.asarray(values, np.float64).tolist())
