"""How a trained network is put into number formats: each layer's MAC, scales, weight codes and bias."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.inference.block_layers import BlockWeights
from simulator.numerics import Mac
from simulator.numerics.array_types import Codes
from simulator.numerics.engines.shared_operand import SharedOperand
from simulator.numerics.formats import Format
from simulator.numerics.formats.code_tables import TABLE_BITS, compiled_loops, has_special, is_special

_BLOCK = 1 << 16
"""Values that are encoded and counted together, since they stay in a core's cache."""


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer in a MAC's formats.

    A real activation is its code's value x `activation_scale` (x `migration[k]` where K is split by channel);
    a real weight is its code's value x `weight_scale` of its output channel ([groups, 1, N] or a scalar).

    Attributes:
        mac: the arithmetic.
        activation_scale: one scale for the left operand.
        weight_scale: scales of the right operand; a computed right operand has one.
        weight_codes: [groups, K, N per group]; None for a computed right operand.
        bias: [N over all groups], float32, added to the sums.
        migration: [K], divides activations before they are encoded (SmoothQuant); None for all ones.
        through_output: results are the codes that the MAC's own output rule gives, bias included, as in a
            circuit without a wider path; else they go on in float32.
        output_exponent: results are scaled by 2**output_exponent while they are codes.
        block_weights: the weights of a block-scaled MAC, whose element codes are `weight_codes`; else None.
    """

    mac: Mac
    activation_scale: float = 1.0
    weight_scale: float | NDArray[np.float64] = 1.0
    weight_codes: NDArray[np.unsignedinteger[Any]] | None = None
    bias: NDArray[np.float32] | None = None
    migration: NDArray[np.float32] | None = None
    through_output: bool = False
    output_exponent: int = 0
    block_weights: BlockWeights | None = None
    shared: dict[str, SharedOperand] = field(init=False, default_factory=dict, compare=False, repr=False)
    """The weights by their layout, with what engines made of them for earlier images."""

    def weights_as(self, layout: str, arrange: Callable[[Codes], Codes]) -> SharedOperand:
        """The weight codes as `arrange` lays them out, arranged once; `layout` names it."""
        assert self.weight_codes is not None
        if layout not in self.shared:
            self.shared[layout] = SharedOperand(arrange(self.weight_codes))
        return self.shared[layout]


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The layers' plans by name, the policy that made them, and what it chose, in words and numbers.

    `warnings` say where a policy does not suit a MAC.
    """

    policy: str
    layers: Mapping[str, LayerPlan]
    choices: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoded:
    """Codes of a tensor, and how many of its values the format could not follow.

    `largest` is a bound on the codes' magnitudes, which are then all finite; None where nothing is known.
    """

    codes: NDArray[np.unsignedinteger[Any]]
    saturated: int
    underflowed: int
    largest: float | None = None

    def shared(self, fmt: Format) -> SharedOperand:
        """The codes, with what is known of them."""
        operand = SharedOperand(self.codes)
        if self.largest is not None:
            operand.made(("special", fmt), lambda: False)
        return operand


def encode(values: NDArray[Any], fmt: Format, scale: float | NDArray[np.float64] = 1.0) -> Encoded:
    """Real values as codes x scale.

    Counts as saturated what lies beyond the format's largest values, as underflowed what is not zero but
    becomes it (negative values in an unsigned format are both). The division by the scale is in float32.
    """
    if isinstance(scale, np.ndarray):
        values, scale = values * (1.0 / scale).astype(np.float32), 1.0
    factor = np.float32(1.0 / scale)
    reals = np.ascontiguousarray(values).reshape(-1)
    if reals.dtype not in (np.float32, np.float64):
        reals = reals.astype(np.float64)
    codes = np.empty(reals.size, fmt.code_dtype)
    counts = np.zeros(3, np.int64)
    for start in range(0, reals.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        part = reals[block] if scale == 1.0 else reals[block] * factor
        codes[block] = to_codes(part, fmt)
        _count_losses(part, codes[block], fmt, counts)
    whole = codes.reshape(np.shape(values))
    return Encoded(whole, int(counts[0]), int(counts[1]), _largest_code(counts[2], reals, fmt))


def _largest_code(pattern: np.int64, reals: NDArray[Any], fmt: Format) -> float | None:
    """A bound on the magnitudes of codes, from the pattern of the largest magnitude among the reals.

    Rounding of a monotonic format keeps order, so that no value's code is further from zero than that of the
    largest magnitude with its sign. None for other formats, and where the largest is NaN or becomes infinity.
    """
    if not fmt.is_monotonic:
        return None
    integer = np.int32 if reals.dtype == np.float32 else np.int64
    extreme = float(integer(pattern).view(reals.dtype))
    largest = float(np.abs(fmt.decode(fmt.encode(np.array([extreme, -extreme])))).max())
    return largest if np.isfinite(extreme) and np.isfinite(largest) else None


def _count_losses(reals: NDArray[Any], codes: Codes, fmt: Format, counts: NDArray[np.int64]) -> None:
    """Add how many values lie beyond the format's largest, and how many became zero; see `losses`."""
    ends = float(fmt.lowest), float(fmt.largest)
    zeros = None if fmt.bits > TABLE_BITS else _two_zeros(fmt)
    if not compiled_loops.pay_off(codes.size):
        counts[0] += np.count_nonzero((reals > np.float64(ends[1])) | (reals < np.float64(ends[0])))
        counts[1] += np.count_nonzero(is_zero(fmt, codes)) - np.count_nonzero(reals == 0)
        integer = np.int32 if reals.dtype == np.float32 else np.int64
        counts[2] = max(counts[2], int(np.abs(reals).view(integer).max(initial=0)))
        return
    from simulator.inference.tensor_kernels import losses, losses_of_values

    narrow = reals.dtype == np.float32 and all(float(np.float32(end)) == end for end in ends)
    limits = (np.float32(ends[0]), np.float32(ends[1])) if narrow else ends
    if zeros is None:
        losses_of_values(reals, fmt.reals(codes), limits, counts)
    else:
        losses(reals, codes, zeros, limits, counts)


@lru_cache(maxsize=256)
def _two_zeros(fmt: Format) -> tuple[np.unsignedinteger[Any], np.unsignedinteger[Any]] | None:
    """The codes of zero, twice the only one; None where there are more."""
    zeros = np.flatnonzero(_zero_codes(fmt)).astype(fmt.code_dtype)
    return None if zeros.size > 2 else (zeros[0], zeros[-1])


def to_codes(values: NDArray[Any], fmt: Format) -> NDArray[np.unsignedinteger[Any]]:
    """The format's codes of real values, with false infinities made zero."""
    return without_false_infinities(fmt.encode(values), fmt, values)


def without_false_infinities(
    codes: NDArray[np.unsignedinteger[Any]], fmt: Format, values: NDArray[Any]
) -> NDArray[np.unsignedinteger[Any]]:
    """Codes with zero in place of the infinity that a tiny value became.

    The published converter to `log16` wraps its exponent, so that magnitudes from 2**-16 to 2**-15 come out
    infinite (docs/inference.md). One such value would make a whole network's output infinite.
    """
    if not fmt.infinity_of_tiny_values or not has_special(fmt, codes):
        return codes
    special = is_special(fmt, codes)
    false = special & (np.abs(values) < fmt.smallest_positive)
    return np.where(false, fmt.encode(np.zeros(1)), codes) if false.any() else codes


def is_zero(fmt: Format, codes: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.bool_]:
    """Where codes stand for zero."""
    if fmt.bits > TABLE_BITS:
        return np.asarray(fmt.reals(codes) == 0)
    return np.asarray(_zero_codes(fmt)[codes])


@lru_cache(maxsize=256)
def _zero_codes(fmt: Format) -> NDArray[np.bool_]:
    zeros: NDArray[np.bool_] = fmt.values() == 0
    zeros.setflags(write=False)
    return zeros
