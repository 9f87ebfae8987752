"""What one step does to a vector of sums in a register tile, as LLVM instructions. This imports numba.

Each step is that of a scalar kernel, lane by lane: `sequential_kernels` has fused multiply-adds,
`scaled_kernels` those that are rounded to a narrower format, `log_sums` those of log products.
"""

from __future__ import annotations

from llvmlite import ir  # type: ignore[import-untyped]

from simulator.numerics.engines.register_tiles import Step, Value, call, repeated, suffix


def fused(b: ir.IRBuilder, value: Value, weights: Value, sums: Value, _numbers: tuple[Value, ...]) -> Value:
    """A fused multiply-add, rounded once."""
    return call(b, f"llvm.fma.{suffix(sums.type)}", sums.type, [value, weights, sums])


def rounded(*, flush: bool) -> Step:
    """A fused multiply-add whose pattern is rounded to nearest even; `numbers` as `ScaledSteps.layout`.

    flush: whether magnitudes below the smallest normal number become zeros of the same sign.
    """

    def step(b: ir.IRBuilder, value: Value, weights: Value, sums: Value, numbers: tuple[Value, ...]) -> Value:
        integers = _integers(sums.type)
        lowest, below, kept, smallest, magnitude = (repeated(b, number, integers) for number in numbers[:5])
        bits = b.bitcast(fused(b, value, weights, sums, ()), integers)
        is_odd = b.icmp_signed("!=", b.and_(bits, lowest), ir.Constant(integers, None))
        carried = b.add(b.add(bits, below), b.zext(is_odd, integers))
        bits = b.and_(carried, kept)
        if flush:
            is_normal = b.icmp_signed(">=", b.and_(bits, magnitude), smallest)
            bits = b.select(is_normal, bits, b.and_(bits, b.not_(magnitude)))
        return b.bitcast(bits, sums.type)

    return step


def log_product(
    b: ir.IRBuilder, value: Value, weights: Value, sums: Value, numbers: tuple[Value, ...]
) -> Value:
    """Add the product, rounded to its leading bits and cut off to an integer, to float64 sums.

    `numbers` as `log_sums` has them: half a unit of the last bit that is kept, and the bits that are.
    """
    integers = _integers(weights.type)
    half, kept = (repeated(b, number, integers) for number in numbers)
    bits = b.bitcast(b.fmul(value, weights), integers)
    nearest = b.bitcast(b.and_(b.add(bits, half), kept), weights.type)
    whole = call(b, f"llvm.floor.{suffix(weights.type)}", weights.type, [nearest])
    return b.fadd(sums, whole if weights.type == sums.type else b.fpext(whole, sums.type))


def _integers(reals: Value) -> Value:
    """The vector of integers as wide as a vector's floats."""
    return ir.VectorType(ir.IntType(32 if isinstance(reals.element, ir.FloatType) else 64), reals.count)
