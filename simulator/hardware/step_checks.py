"""A MAC's gates against its numerics: one step at a time, decoders and converter by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from simulator.hardware.comparisons import Comparison, compare
from simulator.hardware.gate_simulation import GateSimulation
from simulator.hardware.processing_element import operand_format
from simulator.hardware.step_circuit import SumLayout
from simulator.hardware.step_stimuli import (
    CODES_OF_TABLE,
    StepStimuli,
    drawn_sums,
    random_integers,
    step_stimuli,
)
from simulator.hardware.synthesized_macs import SynthesizedMac
from simulator.numerics import Mac
from simulator.numerics.accumulators import FixedAccumulator
from simulator.numerics.array_types import Accumulators
from simulator.numerics.formats import Format

_PIECE: Final = 1 << 16
"""Patterns evaluated at once."""

_CONVERTED: Final = 50_000

Numbers = npt.NDArray[Any]


def sum_words(mac: Mac, sums: Accumulators, infinite: Numbers, overflow: Numbers) -> Numbers:
    """Sums and flags as ports carry them (`SumLayout`); overflow is +1, -1 or 0."""
    layout = SumLayout.of(mac)
    words = np.asarray(sums).astype(object if layout.bits > 62 else np.int64) & ((1 << layout.value_bits) - 1)
    if layout.infinite_bits:
        words = words | (infinite.astype(words.dtype) << layout.value_bits)
    if layout.overflow_bits:
        place = layout.value_bits + layout.infinite_bits
        words = words | ((overflow > 0).astype(words.dtype) << place)
        words = words | ((overflow < 0).astype(words.dtype) << (place + 1))
    return np.asarray(words)


@dataclass(frozen=True, slots=True)
class ExpectedStep:
    """Inputs of the MAC's module by port, and the sums with flags that numerics expects of them."""

    inputs: dict[str, Numbers]
    expected: Numbers


def expected_step(mac: Mac, stimuli: StepStimuli, seed: int) -> ExpectedStep:
    """What `Mac.accumulate` and `Mac.step_flags` make of stimuli; flags are drawn beside the sums."""
    generator = np.random.default_rng([seed, 1])
    count = len(stimuli)
    infinite = generator.integers(0, 4, count) == 0
    overflow = np.where(generator.integers(0, 4, count) == 0, generator.integers(-1, 2, count), 0)
    sums = mac.accumulate(stimuli.sums, stimuli.activations, stimuli.weights)
    raised = mac.step_flags(stimuli.sums, stimuli.activations, stimuli.weights)
    later_overflow = np.where(overflow, overflow, raised.overflow)
    inputs: dict[str, Numbers] = {
        "activation": mac.activation.register_patterns(stimuli.activations),
        "weight": mac.weight.register_patterns(stimuli.weights),
        "sum_in": sum_words(mac, stimuli.sums, infinite, overflow),
    }
    return ExpectedStep(inputs, sum_words(mac, sums, infinite | raised.is_infinite, later_overflow))


def check_steps(synthesized: SynthesizedMac, seed: int, steps: int) -> Comparison:
    """Steps of the gates against numerics."""
    mac = synthesized.mac
    stimuli = step_stimuli(mac, seed, steps)
    step = expected_step(mac, stimuli, seed)
    found = evaluate(synthesized.simulation("mac"), step.inputs, "sum_out")
    pairs = "all pairs of codes" if stimuli.exhaustive else "directed and random codes"
    about = {"activation": stimuli.activations, "weight": stimuli.weights, "sum": step.inputs["sum_in"]}
    return compare(f"steps, {pairs}", found, step.expected, about)


def evaluate(simulation: GateSimulation, inputs: dict[str, Numbers], output: str) -> Numbers:
    """An output for arrays of inputs, a piece at a time."""
    count = len(next(iter(inputs.values())))
    pieces = []
    for first in range(0, count, _PIECE):
        piece = {port: values[first : first + _PIECE] for port, values in inputs.items()}
        pieces.append(simulation.evaluate(piece)[output])
    return np.concatenate(pieces)


def check_decoders(synthesized: SynthesizedMac) -> list[Comparison]:
    """Decoders of every code against `Format.register_patterns`; none where codes travel as they are."""
    found = []
    for operand in ("activation", "weight"):
        role = f"{operand}_decoder"
        if role not in synthesized.designs:
            continue
        fmt = operand_format(synthesized.mac, operand)
        codes = np.arange(1 << fmt.bits).astype(fmt.code_dtype)
        registers = evaluate(synthesized.simulation(role), {"code": codes}, "register")
        found.append(
            compare(f"{operand} decoder, all codes", registers, fmt.register_patterns(codes), {"code": codes})
        )
    return found


def check_converter(synthesized: SynthesizedMac, seed: int) -> Comparison | None:
    """Codes of sums against `Mac.to_output`, None where the MAC has no converter."""
    mac = synthesized.mac
    if "converter" not in synthesized.designs:
        return None
    generator = np.random.default_rng([seed, 2])
    sums = _converted_sums(mac, generator)
    infinite = (generator.integers(0, 16, len(sums)) == 0) & bool(SumLayout.of(mac).infinite_bits)
    overflow = np.where(generator.integers(0, 16, len(sums)) == 0, generator.integers(-1, 2, len(sums)), 0)
    overflow = overflow * int(mac.accumulator.remembers_overflow)
    words = sum_words(mac, sums, infinite, overflow)
    expected = mac.to_output(sums, is_infinite=infinite, overflow=overflow)
    found = evaluate(synthesized.simulation("converter"), {"sum": words}, "code")
    return compare("output converter, directed and random sums", found, expected, {"sum": words})


def _converted_sums(mac: Mac, generator: np.random.Generator) -> Accumulators:
    """Random sums, and those at and next to every code's value and the middles between two."""
    accumulator = mac.accumulator
    if not isinstance(accumulator, FixedAccumulator):
        a = np.zeros(_CONVERTED, mac.activation.code_dtype)
        drawn = drawn_sums(mac, generator, a, np.zeros(_CONVERTED, mac.weight.code_dtype))
        return np.concatenate(
            [drawn, accumulator.checked(np.arange(1 << min(accumulator.width, CODES_OF_TABLE)))]
        )
    drawn = random_integers(accumulator, generator, _CONVERTED)
    near = _near_codes(mac.activation, accumulator)
    return np.concatenate([drawn, near.astype(accumulator.dtype)])


def _near_codes(fmt: Format, fixed: FixedAccumulator) -> Numbers:
    if fmt.bits > CODES_OF_TABLE:
        return np.zeros(0, object)
    values = np.unique(fmt.values()[np.isfinite(fmt.values())])
    step = max(1, len(values) // 2048)
    exact = [Fraction(float(value)) / fixed.unit for value in values[::step]]
    middles = [(low + high) / 2 for low, high in pairwise(exact)]
    places = {int(place // 1) + nudge for place in (*exact, *middles) for nudge in (-1, 0, 1, 2)}
    places |= {fixed.lowest, fixed.lowest + 1, fixed.highest, fixed.highest - 1, 0}
    kept = sorted(place for place in places if fixed.lowest <= place <= fixed.highest)
    return np.array(kept, object)
