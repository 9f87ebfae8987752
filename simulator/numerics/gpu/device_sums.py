"""Sums of products of codes that lie on a device: matrices in batches, and convolutions without lowering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from simulator.numerics.engines.blas import DOUBLE_BITS
from simulator.numerics.engines.problem import Refusal
from simulator.numerics.formats import TABLE_BITS
from simulator.numerics.gpu.device import Device, DeviceArray, scalars
from simulator.numerics.gpu.device_arithmetic import THREADS, blocks, look_up
from simulator.numerics.gpu.device_encoding import decode_on, encode_on
from simulator.numerics.gpu.half_flushing import flushes_as_formats_do
from simulator.numerics.gpu.step_plans import (
    Role,
    StepPlan,
    bound_of,
    rounded_plan,
    step_plan,
    watched_plan,
)
from simulator.numerics.mac import Mac

_LANE_TILES: Final = ((128, 128), (128, 64), (64, 128), (32, 256))
_LANE_THREADS: Final = 512
_LANE_STEPS: Final = 8
_LEAST_STEPS: Final = 64
_TURNS: Final = 6
"""Turns that each multiprocessor has at least, where K is long enough: the last one may leave some idle."""

_THREADS: Final = 256
_HALF_TILE: Final = 64
_HALF_THREADS: Final = 128
_TILES: Final = {"single": (4, 4), "exact": (4, 4), "rounded": (4, 4), "log": (4, 4), "watched": (2, 2)}


@dataclass(frozen=True, slots=True)
class Operand:
    """Codes on the device, and the side of the MAC that they are."""

    codes: DeviceArray
    role: Role


@dataclass(frozen=True, slots=True)
class Lowered:
    """A convolution of planes with few filters a group.

    x: codes [batch, groups, plane]. w: codes [groups, filters, K]. places: int32 [K, pixels] in a plane.
    """

    x: DeviceArray
    w: DeviceArray
    places: DeviceArray


@dataclass(frozen=True, slots=True)
class DeviceSums:
    """Accumulators on the device, signs of sticky overflows or None, and why they are exact."""

    accumulators: DeviceArray
    overflow: DeviceArray | None
    reason: str


def multiply_batches(
    device: Device, mac: Mac, left: Operand, right: Operand, initial: DeviceArray | None = None
) -> DeviceSums | Refusal:
    """Accumulators [z, M, N] of codes left [z or 1, M, K] and right [z or 1, K, N].

    Either may be the activations: no step cares which operand comes first. Codes must be valid, on the device
    and, where the accumulator is a float without NaN, finite.

    Args:
        device: where all arrays lie.
        mac: the arithmetic.
        left: the left operand.
        right: the right operand.
        initial: accumulators [z, M, N] to start from; zero by default.
    """
    plan = step_plan(mac)
    if isinstance(plan, Refusal):
        return plan
    if not left.codes.shape[2]:
        return Refusal("no product is added")
    if plan.kernel == "exact":
        return _exact(device, plan, left, right, initial)
    if plan.kernel == "log" and (found := _by_lanes(device, plan, left, right)) is not None:
        return _added(device, plan, found, initial, f"{plan.reason}, exact in float64")
    return _tiled(device, plan, left, right, initial)


def convolve(device: Device, mac: Mac, layer: Lowered) -> DeviceSums | Refusal:
    """Accumulators [batch, groups, filters, pixels] of a convolution, as those of `multiply_batches`."""
    plan = step_plan(mac)
    if isinstance(plan, Refusal):
        return plan
    if plan.kernel == "exact":
        K = layer.w.shape[2]
        bound = K * plan.largest[0] * plan.largest[1]
        if _fits(plan, bound):
            total = _direct(device, plan, layer)[0]
            return _added(device, plan, total, None, f"sum of |a b| <= {bound} <= 2^53: exact in float64")
        watched = watched_plan(mac)
        if isinstance(watched, Refusal):
            return watched
        sums, signs = _direct(device, watched, layer)
        return _kept(device, watched, sums, signs)
    if plan.kernel == "halves":
        plan = rounded_plan(mac)  # one sum a thread, where pairs of columns do not pay
    return _kept(device, plan, *_direct(device, plan, layer))


# ------------------------------------------------------------------------------------------------ exact sums


def _fits(plan: StepPlan, bound: float, largest_initial: int = 0) -> bool:
    """Whether a bound on sums of magnitudes proves float64 exact and, where it matters, the register wide."""
    if bound > 1 << DOUBLE_BITS or not 0 <= plan.shift < plan.mac.accumulator_bits:
        return False
    return (int(bound) << plan.shift) + largest_initial <= plan.end


def _exact(
    device: Device, plan: StepPlan, left: Operand, right: Operand, initial: DeviceArray | None
) -> DeviceSums | Refusal:
    """By the device's BLAS where a bound proves it, else step by step in the register."""
    xp, K = device.xp, left.codes.shape[2]
    a, w = _looked_up(device, plan, left), _looked_up(device, plan, right)
    start = _largest(initial)
    bound: float = K * plan.largest[0] * plan.largest[1]
    if not _fits(plan, bound, start):
        largest = [float(xp.abs(each).max()) if each.size else 0.0 for each in (a, w)]
        rows = float(xp.abs(a).sum(axis=2).max()) if a.size else 0.0
        columns = float(xp.abs(w).sum(axis=1).max()) if w.size else 0.0
        bound = bound_of(rows, columns, *largest)
    if _fits(plan, bound, start):
        reason = f"sum of |a b| <= {int(bound)} <= 2^53: exact in float64"
        return _added(device, plan, xp.matmul(a, w), initial, reason)
    watched = watched_plan(plan.mac)
    return watched if isinstance(watched, Refusal) else _tiled(device, watched, left, right, initial)


def _largest(initial: DeviceArray | None) -> int:
    """The largest magnitude to start from; that of the least int64 is no int64."""
    return 0 if initial is None or not initial.size else max(-int(initial.min()), int(initial.max()))


def _added(
    device: Device, plan: StepPlan, total: DeviceArray, initial: DeviceArray | None, reason: str
) -> DeviceSums:
    """Integers in float64 and what to start from, modulo the register."""
    held = device.xp.empty(total.shape, np.int64)
    spare = 64 - plan.mac.accumulator_bits
    if total.size:
        arguments = (total, held, np.int64(total.size), *scalars(plan.shift, spare))
        device.launch("registers", blocks(total.size), THREADS, arguments)
    if initial is None:
        return DeviceSums(held, None, reason)
    return _wrapped(plan, held + device.xp.asarray(initial, np.int64), reason)


def _wrapped(plan: StepPlan, sums: DeviceArray, reason: str) -> DeviceSums:
    spare = 64 - plan.mac.accumulator_bits
    if spare:
        sums = (sums << spare) >> spare
    return DeviceSums(sums, None, reason)


# ----------------------------------------------------------------------------------------------- log products


def _by_lanes(device: Device, plan: StepPlan, left: Operand, right: Operand) -> DeviceArray | None:
    """Sums in float64 by a table for each lane in shared memory; None where they do not fit."""
    z, M, K, N = _sizes(left, right)
    if plan.lane_words is None or plan.longest < K or not (z and M and N):
        return None
    entries = len(plan.lane_words)
    down, across = _lane_tile(M, N)
    shared = 4 * (64 * entries + 2 * _LANE_STEPS * (down + across))
    if shared > device.shared_bytes:
        return None
    tiles = z * -(-M // down) * -(-N // across)
    steps = _steps_of_a_turn(K, tiles, device.multiprocessors)
    turns = tiles * -(-K // steps)
    a, w = _looked_up(device, plan, left), _looked_up(device, plan, right)
    flat = plan.lane_words.reshape(-1)
    words = device.constant((plan, "words"), lambda: flat)
    sums = device.xp.zeros((z, M, N), np.float64)
    numbers = (*scalars(z, M, K, N), *_strides(left, right), *scalars(entries, steps))
    grid = (min(turns, device.multiprocessors), 1, 1)
    device.launch(f"lanes_{down}x{across}", grid, _LANE_THREADS, (a, w, sums, *numbers, words), shared)
    return sums


def _lane_tile(M: int, N: int) -> tuple[int, int]:
    """The tile that leaves least of itself empty; the larger of two."""
    return min(_LANE_TILES, key=lambda tile: -(-M // tile[0]) * tile[0] * -(-N // tile[1]) * tile[1])


def _steps_of_a_turn(K: int, tiles: int, multiprocessors: int) -> int:
    """Steps of K that a block does at a time: few enough that all have work to the end."""
    wanted = -(-_TURNS * multiprocessors // tiles)
    steps = max(_LEAST_STEPS, -(-K // max(wanted, 1)))
    return -(-steps // _LANE_STEPS) * _LANE_STEPS


# ---------------------------------------------------------------------------------------- steps of any kind


def _tiled(
    device: Device, plan: StepPlan, left: Operand, right: Operand, initial: DeviceArray | None
) -> DeviceSums:
    z, M, K, N = _sizes(left, right)
    a, w = _looked_up(device, plan, left), _looked_up(device, plan, right)
    sums = _started(device, plan, (z, M, N), initial)
    signs = device.xp.zeros((z, M, N) if plan.kernel == "watched" else (1,), np.int8)
    if not sums.size:
        return _kept(device, plan, sums, signs)
    if plan.kernel == "halves":
        flushed = "halves_flushing" if flushes_as_formats_do(device) else "halves_flushed"
        name = flushed if plan.integers[0] else "halves_kept"
        grid = (-(-N // _HALF_TILE), -(-M // _HALF_TILE), z)
        device.launch(name, grid, _HALF_THREADS, (a, w, sums, *scalars(M, K, N), *_strides(left, right)))
        return _kept(device, plan, sums, signs)
    down, across = _TILES[plan.kernel]
    grid = (-(-N // (16 * across)), -(-M // (16 * down)), z)
    arguments = (a, w, sums, signs, *scalars(M, K, N), *_strides(left, right), *_constants(device, plan))
    device.launch(f"tiled_{plan.kernel}", grid, _THREADS, arguments)
    return _kept(device, plan, sums, signs)


def _direct(device: Device, plan: StepPlan, layer: Lowered) -> tuple[DeviceArray, DeviceArray]:
    batch, groups, plane = layer.x.shape
    filters, K = layer.w.shape[1:]
    pixels = layer.places.shape[1]
    x = _looked_up(device, plan, Operand(layer.x, "activation"))
    w = _looked_up(device, plan, Operand(layer.w, "weight"))
    shape = (batch, groups, filters, pixels)
    sums = _started(device, plan, shape, None)
    signs = device.xp.zeros(shape if plan.kernel == "watched" else (1,), np.int8)
    if sums.size:
        numbers = (*scalars(groups, filters, K, pixels), np.int64(plane), np.int64(sums.size))
        arguments = (x, w, sums, signs, layer.places, *numbers, *_constants(device, plan))
        device.launch(f"direct_{plan.kernel}", (-(-sums.size // _THREADS), 1, 1), _THREADS, arguments)
    return sums, signs


def _sizes(left: Operand, right: Operand) -> tuple[int, int, int, int]:
    """z, M, K, N."""
    M, K = left.codes.shape[1:]
    return max(left.codes.shape[0], right.codes.shape[0]), M, K, right.codes.shape[2]


def _strides(left: Operand, right: Operand) -> tuple[Any, Any]:
    """From one matrix of a batch to the next: 0 where there is but one."""
    return tuple(  # type: ignore[return-value]
        np.int64(each.codes.shape[1] * each.codes.shape[2] if each.codes.shape[0] > 1 else 0)
        for each in (left, right)
    )


def _looked_up(device: Device, plan: StepPlan, operand: Operand) -> DeviceArray:
    """Operands as the kernel takes them, contiguous."""
    table = plan.tables[operand.role]
    if table is None:
        return device.xp.ascontiguousarray(operand.codes).view(np.float32)
    return look_up(device, device.constant((plan, operand.role), lambda: table), operand.codes)


def _constants(device: Device, plan: StepPlan) -> tuple[DeviceArray, ...]:
    return (
        device.constant((plan, "reals"), lambda: np.array(plan.reals, np.float64)),
        device.constant((plan, "integers"), lambda: np.array(plan.integers, np.int64)),
        device.constant((plan, "entries"), lambda: plan.entries),
    )


def _started(
    device: Device, plan: StepPlan, shape: tuple[int, ...], initial: DeviceArray | None
) -> DeviceArray:
    """Sums to add to, as the kernel holds them."""
    xp = device.xp
    if initial is None:
        return xp.zeros(shape, plan.sum_dtype)
    if plan.sum_dtype is np.int64:
        return xp.array(initial, np.int64)
    if plan.kernel == "single":
        return xp.array(initial, np.uint32).view(np.float32)
    if plan.mac.accumulator_format.bits > TABLE_BITS:
        return _flushed(device, plan, decode_on(device, plan.mac.accumulator_format, initial))
    return look_up(device, device.constant((plan, "start"), lambda: _values_by_code(plan)), initial)


def _flushed(device: Device, plan: StepPlan, values: DeviceArray) -> DeviceArray:
    """float64 values with subnormal ones of the accumulator made zeros of their sign, if it does so."""
    if not plan.mac.accumulator.rounding.flush_subnormals:  # type: ignore[attr-defined]
        return values
    xp, least = device.xp, plan.mac.accumulator_format.smallest_normal
    return xp.where(xp.abs(values) < least, xp.copysign(xp.zeros_like(values), values), values)


def _values_by_code(plan: StepPlan) -> Any:
    """Accumulators by code as the steps see them."""
    accumulator = plan.mac.accumulator
    fmt = plan.mac.accumulator_format
    values = accumulator.rounding.flush(fmt.values(), fmt.smallest_normal)  # type: ignore[attr-defined]
    return values.astype(np.float16).view(np.uint16) if plan.kernel == "halves" else values


def _kept(device: Device, plan: StepPlan, sums: DeviceArray, signs: DeviceArray) -> DeviceSums:
    """What the register holds."""
    mac, kernel = plan.mac, plan.kernel
    if kernel == "log":
        return _wrapped(plan, sums, f"{plan.reason}, exact modulo 2^64")
    if kernel == "watched":
        if mac.accumulator.remembers_overflow:
            return DeviceSums(sums, signs, plan.reason)
        return _wrapped(plan, sums, plan.reason)
    if kernel == "single":
        codes = device.xp.where(device.xp.isnan(sums), _code_of_nan(mac), sums.view(np.uint32))
        return DeviceSums(codes.astype(np.uint32), None, plan.reason)
    if kernel == "rounded":
        return DeviceSums(encode_on(device, mac.accumulator_format, sums).codes, None, plan.reason)
    return DeviceSums(sums, None, plan.reason)


def _code_of_nan(mac: Mac) -> Any:
    return np.uint32(mac.accumulator_format.encode(np.nan))
