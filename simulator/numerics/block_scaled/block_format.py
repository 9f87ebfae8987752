"""Block-scaled formats as data: an element format, a scale format, a block length and a scale rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.array_types import Codes, Reals
from simulator.numerics.block_scaled.block_tensor import NO_SCALE, BlockTensor, spread
from simulator.numerics.block_scaled.scale_format import FloatScale, PowerOfTwoScale, get_scale_format
from simulator.numerics.block_scaled.scale_rules import POWER_OF_TWO_RULES
from simulator.numerics.formats import Format, get_format

ScaleRule = Literal["floor", "ceil", "even", "rceil", "nearest"]
"""How a block's scale follows from its largest magnitude: the first four give powers of two, `nearest` the
scale that is nearest to largest magnitude / largest element."""

_EXACT_BITS = 50
"""Significand bits of boundary x scale x tensor scale, up to which a float64 quotient rounds right."""

_FLOAT32_BITS = 24


@dataclass(frozen=True)
class BlockFormat:
    """Consecutive elements that share a scale: value = element x block scale (x tensor scale).

    Attributes:
        name: how people call it.
        element: the element format's spec.
        scale: the scale format's spec: `e8m0`, or a float with NaN such as `e4m3fn`.
        block: elements that share a scale.
        rule: how the scale is found.
        tensor_scale: a float32 scale for the whole tensor brings block scales into their format's range.
        full_range: two's complement elements use their lowest code; else the range is symmetric.

    Conversion takes float32 (other dtypes are rounded to it first). A block with NaN or infinity has the
    scale NaN and codes 0. A block of zeros has scale code 0 and zeros of their signs, as far as the element
    format has them. Elements are rounded once, to nearest, ties to the even code, and saturate.
    """

    name: str
    element: str
    scale: str = "e8m0"
    block: int = 32
    rule: ScaleRule = "floor"
    tensor_scale: bool = False
    full_range: bool = False

    def __post_init__(self) -> None:
        """Refuse combinations that cannot be. Raises UserError."""
        self._check()

    def _check(self) -> None:
        where = f"block-scaled format {self.name!r}"
        rules = list(POWER_OF_TWO_RULES) if self.has_power_of_two_scales else ["nearest"]
        if self.rule not in rules:
            raise UserError(
                f"does not go with scales of {self.scale}",
                source=where,
                location="rule",
                value=self.rule,
                allowed=", ".join(rules),
            )
        if self.has_power_of_two_scales and self.tensor_scale:
            raise UserError(
                "power-of-two scales need no scale of the tensor",
                source=where,
                location="tensor_scale",
                value=True,
                allowed="false, or scale e4m3fn",
            )
        if self.tensor_scale and self._largest_block_scaled > float(np.finfo(np.float32).max):
            raise UserError(
                "block scales that reach so far need no scale of the tensor",
                source=where,
                location="tensor_scale",
                value=True,
                allowed="false, or a scale of a smaller range, such as e4m3fn",
            )
        if not 1 <= self.block <= 1 << 16:
            raise UserError(
                "impossible block length",
                source=where,
                location="block",
                value=self.block,
                allowed="1 to 65536",
            )
        fmt = self.element_format
        if not fmt.signed or fmt.bits > 8 or not fmt.is_monotonic or fmt.infinity_of_tiny_values:
            raise UserError(
                "cannot be the element format of a block-scaled format",
                source=where,
                location="element",
                value=self.element,
                allowed="a signed format of up to 8 bits, such as e4m3fn, e2m1, fix8.6 or int4",
            )
        bits = fmt.significand_bits + 1 + self.scale_format.significand_bits
        if bits + (_FLOAT32_BITS if self.tensor_scale else 0) > _EXACT_BITS:
            raise UserError(
                "is too precise to be converted exactly",
                source=where,
                location="scale",
                value=self.scale,
                allowed="scales of fewer significand bits, or no scale of the tensor",
            )

    @property
    def _largest_block_scaled(self) -> float:
        """The largest element times the largest block scale."""
        return self.largest * float(np.nanmax(self.scale_format.values))

    @cached_property
    def element_format(self) -> Format:
        """Of the elements."""
        return get_format(self.element)

    @cached_property
    def scale_format(self) -> PowerOfTwoScale | FloatScale:
        """Of the scales."""
        return get_scale_format(self.scale)

    @property
    def has_power_of_two_scales(self) -> bool:
        """Whether scales only add to exponents."""
        return isinstance(self.scale_format, PowerOfTwoScale)

    @property
    def largest(self) -> float:
        """The largest element."""
        return float(self.element_format.largest)

    @property
    def lowest(self) -> float:
        """The lowest element that conversion gives."""
        return float(self.element_format.lowest) if self.full_range else -self.largest

    @property
    def fraction_bits(self) -> int:
        """Fraction bits of the largest elements, by which the rule `even` rounds."""
        fmt = self.element_format
        if fmt.has_exponent:
            return fmt.significand_bits - 1
        return int(np.frexp(fmt.largest)[1]) - 1 - fmt.lsb

    @property
    def bits_per_element(self) -> float:
        """Stored bits of an element with its share of a scale, in blocks that are full."""
        return self.element_format.bits + self.scale_format.bits / self.block

    def with_rule(self, rule: ScaleRule) -> BlockFormat:
        """The same format with another scale rule. Raises UserError where it does not fit."""
        return replace(self, rule=rule)

    def scale_codes(self, amax: npt.ArrayLike, tensor_scale: np.float32 = NO_SCALE) -> Codes:
        """Scale codes of blocks by their largest magnitudes (float32); NaN where one is NaN or infinite."""
        with np.errstate(invalid="ignore"):  # signalling NaN
            magnitudes = np.abs(np.asarray(amax, np.float32)).astype(np.float64)
        lost = ~np.isfinite(magnitudes)
        positive = ~lost & (magnitudes > 0)
        safe = np.where(positive, magnitudes, 1.0)
        found = self._codes_of(safe, float(tensor_scale))
        return np.where(lost, self.scale_format.code_of_nan, np.where(positive, found, 0)).astype(found.dtype)

    def _codes_of(self, amax: Reals, tensor_scale: float) -> Codes:
        scales = self.scale_format
        if isinstance(scales, PowerOfTwoScale):
            exponents = POWER_OF_TWO_RULES[self.rule](amax, self.largest, self.fraction_bits)
            return scales.codes_of_exponents(exponents)
        # The boundary between two scales x largest x tensor scale has few bits, so that this quotient of
        # a float32 lies on the same side of it as the exact one.
        return scales.codes_of_values(amax / (self.largest * tensor_scale))

    def tensor_scale_of(self, values: npt.NDArray[np.float32]) -> np.float32:
        """Largest finite magnitude / (largest element x largest scale), in float32; 1 for zeros, or without.

        Blocks that hold NaN or infinity count with their finite values.
        """
        scales = self.scale_format
        if not self.tensor_scale or not isinstance(scales, FloatScale):
            return NO_SCALE
        finite = np.abs(values[np.isfinite(values)])
        largest = np.float32(finite.max(initial=0))
        scale = np.float32(largest / np.float32(self.largest * scales.fmt.largest))
        return scale if scale > 0 else NO_SCALE

    def encode(self, values: npt.ArrayLike, *, tensor_scale: np.float32 | None = None) -> BlockTensor:
        """A tensor in this format, its blocks along the last axis; a tail is a shorter block.

        Args:
            values: real numbers [..., length].
            tensor_scale: this one in place of the tensor's own.

        Raises:
            UserError: no real numbers, or no axis.
        """
        reals = np.asarray(values)
        if reals.dtype.kind not in "fiub" or not reals.ndim:
            raise UserError(
                "values to encode are real numbers with an axis of blocks", value=str(reals.dtype)
            )
        with np.errstate(over="ignore", invalid="ignore"):
            reals = np.ascontiguousarray(reals, np.float32)
        if tensor_scale is None:
            tensor_scale = self.tensor_scale_of(reals)
        amax = _largest_magnitudes(reals, self.block)
        scales = self.scale_codes(amax, tensor_scale)
        factors = self.scale_format.decode(scales) * float(tensor_scale)
        lost = np.isnan(factors)
        elements, saturated, underflowed = self._elements(reals, np.where(lost, 0.0, factors), lost)
        return BlockTensor(elements, scales, tensor_scale, saturated, underflowed, int(lost.sum()))

    def _elements(
        self, reals: npt.NDArray[np.float32], factors: Reals, lost: npt.NDArray[np.bool_]
    ) -> tuple[Codes, int, int]:
        """Codes; how many saturate; how many become zero."""
        length = reals.shape[-1]
        by_element = spread(factors, self.block, length)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            scaled = reals.astype(np.float64) / np.where(by_element == 0, np.inf, by_element)
        gone = np.repeat(lost, self.block, axis=-1)[..., :length]
        scaled = np.where(gone, 0.0, scaled)
        codes = self.element_format.encode(np.clip(scaled, self.lowest, self.largest))
        beyond = (scaled > self.largest) | (scaled < self.lowest)
        zeros = (self.element_format.decode(codes) == 0) & (reals != 0) & ~gone
        return codes, int(beyond.sum()), int(zeros.sum())

    def decode(self, tensor: BlockTensor) -> Reals:
        """The exact values, float64, in the shape of the elements; NaN in blocks whose scale is NaN."""
        factors = self.scale_format.decode(tensor.scales) * float(tensor.tensor_scale)
        by_element = spread(factors, self.block, tensor.elements.shape[-1])
        with np.errstate(invalid="ignore"):
            return np.asarray(self.element_format.decode(tensor.elements) * by_element)

    def describe(self) -> dict[str, Any]:
        """The facts of the format by name, JSON-ready."""
        return {
            "name": self.name,
            "element": self.element_format.spec,
            "scale": self.scale_format.spec,
            "block": self.block,
            "rule": self.rule,
            "tensor_scale": self.tensor_scale,
            "full_range": self.full_range,
            "bits_per_element": self.bits_per_element,
        }


def _largest_magnitudes(reals: npt.NDArray[np.float32], block: int) -> npt.NDArray[np.float32]:
    """The largest magnitude of every block along the last axis; NaN where there is one."""
    length = reals.shape[-1]
    if not length:
        return np.zeros((*reals.shape[:-1], 0), np.float32)
    starts = np.arange(0, length, block)
    return np.maximum.reduceat(np.abs(reals), starts, axis=-1)
