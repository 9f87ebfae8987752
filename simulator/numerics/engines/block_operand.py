"""One operand of a block-scaled product, unpacked for kernels: blocks of one length, padded with zeros."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.array_types import Array, Codes, Reals
from simulator.numerics.block_scaled.block_format import BlockFormat
from simulator.numerics.block_scaled.block_tensor import BlockTensor
from simulator.numerics.block_scaled.sum_rules import integer_table
from simulator.numerics.formats import Format


@dataclass(frozen=True)
class BlockOperand:
    """Rows of blocks: activations by row of the product, weights by column.

    Attributes:
        fmt: the block-scaled format.
        codes: element codes [rows, blocks, length], tails padded with zeros.
        scales: scale codes [rows, blocks].
    """

    fmt: BlockFormat
    codes: Codes
    scales: Codes

    @classmethod
    def of(cls, fmt: BlockFormat, tensor: BlockTensor) -> BlockOperand:
        """Of a tensor [rows, length] or [rows, positions, length]; blocks end with each position.

        Raises:
            UserError: another number of axes, or scales that do not belong to the elements.
        """
        elements, scales = tensor.elements, tensor.scales
        if elements.ndim == 2:
            elements, scales = elements[:, None], scales[:, None]
        length = elements.shape[-1]
        blocks = -(-length // fmt.block)
        if elements.ndim != 3 or scales.shape != (*elements.shape[:-1], blocks):
            raise UserError(
                f"elements and scales of {fmt.name} do not belong together",
                value=f"elements {list(tensor.elements.shape)}, scales {list(tensor.scales.shape)}",
                allowed=f"[rows, (positions,) length], a scale for every {fmt.block} elements",
            )
        width = min(fmt.block, length)
        zero = int(fmt.element_format.encode(0.0))
        padded = np.full((*elements.shape[:-1], blocks * width), zero, elements.dtype)
        padded[..., :length] = elements
        rows = len(elements)
        return cls(
            fmt,
            padded.reshape(rows, -1, width) if width else padded.reshape(rows, 0, 0),
            scales.reshape(rows, -1),
        )

    @property
    def element_format(self) -> Format:
        """Of the codes."""
        return self.fmt.element_format

    @property
    def lsb(self) -> int:
        """log2 of the step of which all elements are multiples."""
        return self.element_format.lsb

    @cached_property
    def values(self) -> Reals:
        """Element values, infinity and NaN included, [rows, blocks, length]."""
        return self.element_format.values()[self.codes]

    @cached_property
    def has_specials(self) -> bool:
        """Whether some element is infinite or NaN."""
        return bool((~np.isfinite(self.element_format.values()))[self.codes].any())

    @cached_property
    def integers(self) -> Reals:
        """Elements in units of 2**lsb as whole float64; 0 for infinity and NaN."""
        return integer_table(self.element_format)[self.codes]

    @cached_property
    def scale_parts(self) -> tuple[Reals, npt.NDArray[np.int64]]:
        """Significands (NaN for scales that are NaN) and exponents of the scales, [rows, blocks]."""
        significands, exponents = self.fmt.scale_format.parts()
        significands = np.where(np.isnan(self.fmt.scale_format.values), np.nan, significands)
        return np.ascontiguousarray(significands[self.scales]), np.ascontiguousarray(exponents[self.scales])

    @cached_property
    def float_parts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Signed significands and exponents of elements: value = significand x 2**(exponent - fraction bits).

        Subnormal elements have the least exponent; infinity and NaN count as zeros.
        """
        fmt = self.element_format
        values = np.where(np.isfinite(fmt.values()), fmt.values(), 0.0)
        least = int(np.frexp(fmt.smallest_normal)[1]) - 1
        exponents = np.maximum(np.frexp(values)[1].astype(np.int64) - 1, least)
        exponents = np.where(values == 0, least, exponents)
        significands = np.ldexp(values, fmt.significand_bits - 1 - exponents).astype(np.int64)
        return significands[self.codes], exponents[self.codes]

    def rows(self, first: int, last: int) -> BlockOperand:
        """Some of the rows."""
        return BlockOperand(self.fmt, self.codes[first:last], self.scales[first:last])


def block_dots(a: Array, w: Array) -> Reals:
    """[blocks, rows, columns] of [rows, blocks, length] and [columns, blocks, length]: a dot product each."""
    left = np.ascontiguousarray(a.transpose(1, 0, 2))
    right = np.ascontiguousarray(w.transpose(1, 2, 0))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.matmul(left, right))
