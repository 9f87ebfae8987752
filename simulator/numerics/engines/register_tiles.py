"""Tiles of sums that stay in vector registers while their terms go by, as LLVM instructions.

A loop over the columns of a row loads and stores every sum at each step or two. A tile of rows x vectors of
sums is loaded once, takes all of its steps in registers and is stored once; a step loads a few vectors of
operands that all rows share, and one number for each row. Every sum still takes its own steps in the order
of k and no two are mixed, so that its bits are those of the plain loop.

`tile_steps` has the steps; `tile_kernels` and `depthwise_kernels` cover products with tiles. This imports
numba.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils

from simulator.numerics.engines.intrinsics import intrinsic

Value = Any
"""A value, or a type, of `llvmlite.ir`."""

Step = Callable[[ir.IRBuilder, Value, Value, Value, tuple[Value, ...]], Value]
"""(builder, value, operands, sums, numbers) to the new sums, all vectors; `value` repeats one number."""

_FEATURES: Final = binding.get_host_cpu_features()

VECTOR_BYTES: Final = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx2") else 16
"""Width of this processor's vectors."""

MANY_REGISTERS: Final = VECTOR_BYTES == 64 or bool(_FEATURES.get("neon"))
"""Whether there are 32 vector registers, not 16."""

_INDEX = ir.IntType(64)
_LANE = ir.IntType(32)


def matrix_tile(step: Step, rows: int, vectors: int) -> Callable[..., None]:
    """An instruction for kernels: `(a, w, sums, numbers, place)` takes the steps of one tile of a product.

    a [M, K], w [K, N] and sums [M, N] are contiguous float32 or float64 arrays, a and w alike. `numbers` is
    a tuple of scalars for the step. `place` is (first row, last row + 1, first column, last column + 1, first
    k, last k + 1): at most `vectors` vectors of columns, and more than one vector less. Of more rows than
    `rows` the first ones are computed; where there are fewer, the last one is computed several times and
    stored as often with the same bits.
    """

    @intrinsic
    def matrix_steps(_context: Any, a: Any, w: Any, sums: Any, numbers: Any, _place: Any) -> Any:
        def lower(context: Any, builder: ir.IRBuilder, signature: Any, given: list[Value]) -> Value:
            a, w, sums = _arrays(context, builder, signature.args[:3], given[:3])
            length, columns = (cgutils.unpack_tuple(builder, array.shape)[1] for array in (a, w))
            top, bottom, left, right, start, end = cgutils.unpack_tuple(builder, given[4])
            tile = _Tile(
                builder, step, tuple(cgutils.unpack_tuple(builder, given[3])), a.data, w.data, sums.data
            )
            last = builder.sub(bottom, _INDEX(1))
            lines = [tile.smaller(builder.add(top, _INDEX(index)), last) for index in range(rows)]
            across = tile.vectors_from(left, vectors)
            tile.take_steps(
                (start, end),
                [builder.mul(line, length) for line in lines],
                lambda k: tile.moved(across, builder.mul(k, columns)),
                [tile.moved(across, builder.mul(line, columns)) for line in lines],
                tile.first_lanes(builder.sub(right, across[-1])),
            )
            return context.get_dummy_value()

        place = types.UniTuple(types.intp, 6)
        return types.void(a, w, sums, numbers, place), lower if _contiguous(a, w, sums) else None

    return matrix_steps


def run_tile(step: Step, vectors: int) -> Callable[..., None]:
    """An instruction for kernels: `(values, line, starts, sums, numbers, place)` takes the steps of one run.

    Sum j of the run is sums[place + j]; its step k takes values[k] and line[starts[k] + place + j]. All
    arrays are contiguous with one axis, values and line float32 or float64 alike. The run is exactly
    `vectors` vectors long, which `line` and `sums` must hold.
    """

    @intrinsic
    def run_steps(
        _context: Any, values: Any, line: Any, starts: Any, sums: Any, numbers: Any, _place: Any
    ) -> Any:
        def lower(context: Any, builder: ir.IRBuilder, signature: Any, given: list[Value]) -> Value:
            values, line, starts, sums = _arrays(context, builder, signature.args[:4], given[:4])
            tile = _Tile(
                builder,
                step,
                tuple(cgutils.unpack_tuple(builder, given[4])),
                values.data,
                line.data,
                sums.data,
            )
            across = tile.vectors_from(given[5], vectors)
            (length,) = cgutils.unpack_tuple(builder, starts.shape)
            tile.take_steps(
                (_INDEX(0), length),
                [_INDEX(0)],
                lambda k: tile.moved(across, builder.load(builder.gep(starts.data, [k]))),
                [across],
            )
            return context.get_dummy_value()

        arrays = (values, line, starts, sums)
        return types.void(*arrays, numbers, types.intp), lower if _contiguous(*arrays) else None

    return run_steps


def _contiguous(*arrays: Any) -> bool:
    """Whether places can be counted as the tiles do; other arrays must not come to them."""
    if all(array.layout == "C" for array in arrays):
        return True
    raise TypeError("register tiles take contiguous arrays")


def _arrays(context: Any, builder: ir.IRBuilder, kinds: Any, given: list[Value]) -> list[Value]:
    return [
        context.make_array(kind)(context, builder, value) for kind, value in zip(kinds, given, strict=True)
    ]


@dataclass(slots=True)
class _Tile:
    """The code of one tile; places count elements from where the arrays' data start."""

    builder: ir.IRBuilder
    step: Step
    numbers: tuple[Value, ...]
    values: Value
    operands: Value
    sums: Value

    @property
    def lanes(self) -> int:
        """Operands in a vector register; as many sums go together, in two registers where they are wider."""
        return VECTOR_BYTES // _bytes(self.operands.type.pointee)

    def vectors_from(self, place: Value, count: int) -> list[Value]:
        """Places of vectors side by side."""
        return [self.builder.add(place, _INDEX(index * self.lanes)) for index in range(count)]

    def moved(self, places: list[Value], distance: Value) -> list[Value]:
        """Places further on."""
        return [self.builder.add(place, distance) for place in places]

    def smaller(self, x: Value, y: Value) -> Value:
        """The smaller of two integers."""
        return self.builder.select(self.builder.icmp_signed("<", x, y), x, y)

    def first_lanes(self, width: Value) -> Value:
        """A mask, true in the first `width` lanes."""
        lanes = ir.Constant(ir.VectorType(_INDEX, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, repeated(self.builder, width, lanes.type))

    def take_steps(
        self,
        steps: tuple[Value, Value],
        values: list[Value],
        operands: Callable[[Value], list[Value]],
        sums: list[list[Value]],
        mask: Value | None = None,
    ) -> None:
        """Load the sums, take the steps from the first to before the last, of which there may be none, store.

        Args:
            steps: the first k, and the last k + 1.
            values: where the number of step 0 is, for each row.
            operands: from k to where the step's vectors are, which all rows share.
            sums: where each row's vectors of sums are.
            mask: lanes of the last vector of each row that there are; None for all.
        """
        b, (start, end) = self.builder, steps
        masks = [None] * (len(sums[0]) - 1) + [mask]
        vector = ir.VectorType(self.operands.type.pointee, self.lanes)
        total = ir.VectorType(self.sums.type.pointee, self.lanes)
        before = [[self._load(self.sums, *at, total) for at in zip(row, masks, strict=True)] for row in sums]
        entry, body, done = b.block, b.append_basic_block("steps"), b.append_basic_block("steps.done")
        b.cbranch(b.icmp_signed("<", start, end), body, done)

        b.position_at_end(body)
        k = b.phi(_INDEX)
        running = [[b.phi(total) for _ in row] for row in sums]
        shared = [self._load(self.operands, *at, vector) for at in zip(operands(k), masks, strict=True)]
        after = []
        for place, row in zip(values, running, strict=True):
            value = repeated(b, b.load(b.gep(self.values, [b.add(place, k)])), vector)
            pairs = zip(shared, row, strict=True)
            after.append([self.step(b, value, operand, sum_, self.numbers) for operand, sum_ in pairs])
        following, last = b.add(k, _INDEX(1)), b.block
        b.cbranch(b.icmp_signed("<", following, end), body, done)
        _join(k, (start, entry), (following, last))

        b.position_at_end(done)
        ended = [[b.phi(total) for _ in row] for row in sums]
        for rows in zip(before, after, running, ended, strict=True):
            for first, later, phi, end_phi in zip(*rows, strict=True):
                _join(phi, (first, entry), (later, last))
                _join(end_phi, (first, entry), (later, last))
        for row, places in zip(ended, sums, strict=True):
            for result, place, lanes in zip(row, places, masks, strict=True):
                self._store(result, place, lanes)

    def _load(self, data: Value, place: Value, mask: Value | None, vector: Value) -> Value:
        """The vector at a place; zeros where a mask is false, which are not read."""
        size, pointer = _bytes(vector.element), self._pointer(data, place, vector)
        if mask is None:
            return self.builder.load(pointer, align=size)
        arguments = [pointer, _LANE(size), mask, ir.Constant(vector, None)]
        return call(self.builder, f"llvm.masked.load.{suffix(vector)}.p0", vector, arguments)

    def _store(self, value: Value, place: Value, mask: Value | None) -> None:
        """Write a vector of sums; nothing where a mask is false."""
        size, pointer = _bytes(value.type.element), self._pointer(self.sums, place, value.type)
        if mask is None:
            self.builder.store(value, pointer, align=size)
            return
        name = f"llvm.masked.store.{suffix(value.type)}.p0"
        call(self.builder, name, ir.VoidType(), [value, pointer, _LANE(size), mask])

    def _pointer(self, data: Value, place: Value, vector: Value) -> Value:
        return self.builder.bitcast(self.builder.gep(data, [place]), vector.as_pointer())


def call(builder: ir.IRBuilder, name: str, result: Value, arguments: list[Value]) -> Value:
    """A call of one of LLVM's own functions."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def repeated(builder: ir.IRBuilder, number: Value, vector: Value) -> Value:
    """A vector of one number."""
    empty = ir.Constant(vector, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(_LANE, vector.count), [0] * vector.count)
    return builder.shuffle_vector(builder.insert_element(empty, number, _LANE(0)), empty, zeros)


def suffix(vector: Value) -> str:
    """A vector of floats in the names of LLVM's functions."""
    return f"v{vector.count}f{8 * _bytes(vector.element)}"


def _bytes(real: Value) -> int:
    return 4 if isinstance(real, ir.FloatType) else 8


def _join(phi: Value, *ways: tuple[Value, Value]) -> None:
    """What a value is, by the block that control comes from."""
    for value, block in ways:
        phi.add_incoming(value, block)
