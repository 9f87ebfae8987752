"""Is a sign-magnitude integer what it says: all codes, sums, the parts of a PE, calibration?"""

from __future__ import annotations

from fractions import Fraction
from math import copysign, inf, nan
from pathlib import Path

import numpy as np
import pytest

from simulator.arch.config import ArchConfig
from simulator.cost.composition import composed_pe_cost
from simulator.cost.mac_parts import structure_of
from simulator.cost.run_prices import Prices
from simulator.foundation import UserError
from simulator.inference import infer
from simulator.inference.policies.policy import default_policy, get_policy
from simulator.inference.policies.suitability import unsuited
from simulator.numerics import get_format, get_mac, multiply
from simulator.numerics.activity import switching_activity
from tests.small_network import small_network

COMPILED = 1 << 16
"""Arrays of so many elements go through compiled loops."""


def value(code: int, bits: int) -> float:
    """By definition: the top bit is the sign, the others are the magnitude."""
    text = format(code, f"0{bits}b")
    return copysign(int(text[1:], 2), -1.0 if text[0] == "1" else 1.0)


def nearest(real: float, bits: int) -> int:
    """The code of a real value, by whole numbers and fractions."""
    if real != real:
        return 0
    largest = 2 ** (bits - 1) - 1
    magnitude = largest if abs(real) >= largest else round(Fraction(abs(real)))  # halves to even
    return magnitude + (2 ** (bits - 1) if copysign(1.0, real) < 0 else 0)


@pytest.mark.parametrize("bits", range(2, 17))
def test_every_code_is_a_sign_and_a_magnitude(bits: int) -> None:
    values = get_format(f"sm{bits}").values()
    expected = np.array([value(code, bits) for code in range(1 << bits)])
    assert (values == expected).all()
    assert (np.signbit(values) == np.signbit(expected)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", [2, 3, 4, 7, 8, 9, 16])
def test_reals_become_the_nearest_code_few_at_a_time_and_many(bits: int, dtype: type) -> None:
    largest = 2 ** (bits - 1) - 1
    ties = np.unique(np.rint(np.linspace(0, largest, 300))) + 0.5
    beside = np.concatenate([np.nextafter(ties.astype(dtype), dtype(end)) for end in (0, inf)])
    tiny = np.array([0.0, 5e-324, 1e-40, 0.25, 0.5, 0.75, 1.0])
    far = np.array([largest - 0.5, largest, largest + 0.5, largest + 1, 1e30, inf, nan])
    reals: np.ndarray = np.concatenate([ties, beside, tiny, far]).astype(dtype)
    reals = np.concatenate([reals, -reals])
    fmt = get_format(f"sm{bits}")
    expected = [nearest(float(real), bits) for real in reals]
    assert fmt.encode(reals).tolist() == expected
    copies = COMPILED // len(reals) + 1
    assert fmt.encode(np.tile(reals, copies)).tolist() == expected * copies


@pytest.mark.parametrize("bits", [3, 4, 8, 12])
def test_a_float_of_one_exponent_bit_and_step_one_is_the_same_format(bits: int) -> None:
    own, float_of_steps = get_format(f"sm{bits}"), get_format(f"e1m{bits - 2}b{3 - bits}")
    assert (own.values() == float_of_steps.values()).all()
    reals = np.random.default_rng(1).normal(size=5000) * 2.0**bits / 3
    assert (own.encode(reals) == float_of_steps.encode(reals)).all()


def test_widths_that_cannot_be_are_refused() -> None:
    for spec in ("sm1", "sm17", "sm0"):
        with pytest.raises(UserError, match="impossible width"):
            get_format(spec)
    with pytest.raises(UserError, match=r"codes outside format sm8 .*got -1"):
        multiply(get_mac("sm8 x sm8"), [[-1]], [[1]])


@pytest.mark.parametrize("engine", ["blas", "table", "stepwise"])
@pytest.mark.parametrize(("activation", "weight"), [("sm8", "sm8"), ("sm8", "int8"), ("uint8", "sm6")])
def test_sums_are_those_of_whole_numbers(activation: str, weight: str, engine: str) -> None:
    mac = get_mac(f"{activation} x {weight}")
    rng = np.random.default_rng(3)
    a = rng.integers(0, 1 << mac.activation.bits, (5, 40))
    w = rng.integers(0, 1 << mac.weight.bits, (40, 6))

    def whole(code: int, spec: str) -> int:
        if spec.startswith("sm"):
            return int(value(code, int(spec[2:])))
        return code - 256 if spec == "int8" and code > 127 else code

    sums = multiply(mac, a, w, engine=engine).accumulators
    for m, row in enumerate(a.tolist()):
        for n, column in enumerate(w.T.tolist()):
            products = [whole(x, activation) * whole(y, weight) for x, y in zip(row, column, strict=True)]
            assert sums[m, n] == sum(products)


def test_both_zeros_add_nothing_but_their_sign_bit_toggles() -> None:
    mac = get_mac("sm8 x sm8")
    assert multiply(mac, [[0x80, 0x00, 0x80]], [[0x7F], [0xFF], [0x80]]).accumulators.tolist() == [[0]]
    activity = switching_activity(mac, [[0x80, 0x00, 0x80]], [[0], [0], [0]], "os", rows=1, columns=1)
    # 00 -> 80 -> 00 -> 80 -> 00, a bit each.
    assert activity.activation.toggles == 4
    assert activity.weight.toggles == activity.accumulator.toggles == 0


def test_a_derived_accumulator_holds_4608_products_of_the_magnitudes() -> None:
    # 127 * 127 * 4608 = 74,322,432 lies between 2**26 and 2**27: 27 bits and a sign.
    assert get_mac("sm8 x sm8").accumulator_bits == 28
    # 7 * 7 * 100 = 4,900 lies between 2**12 and 2**13.
    assert get_mac({"activation": "sm4", "weight": "sm4", "reduction_length": 100}).accumulator_bits == 14


def test_a_pe_is_an_integer_multiplier_of_magnitudes_in_registers_of_whole_codes() -> None:
    structure = structure_of(get_mac("sm8 x sm8"))
    parts = {name: [(p.part, p.count) for p in parts] for name, parts in structure.combinational.items()}
    assert parts == {"pe_multiply": [("multiplier_cell", 49)], "pe_add": [("accumulate_adder_bit", 28)]}
    assert structure.registers == {"activation": 8, "weight": 8, "accumulator": 28}
    assert (structure.converter, structure.activation_decoder, structure.weight_decoder) == ((), (), ())


def test_a_pe_costs_what_its_parts_cost() -> None:
    """From arXiv 1811.01721, Table 3: uW at 500 MHz and um2 of published blocks, by cell or bit."""
    # 48 clock + 14.73 toggle = 112.7 / 500, and 63 clock + 14.26 toggle = 124.3 / 500.
    determinant = 48 * 14.26 - 63 * 14.73
    clock = (112.7 * 14.26 - 124.3 * 14.73) / 500 / determinant
    toggle = (48 * 124.3 - 63 * 112.7) / 500 / determinant
    flip_flops = 8 + 8 + 28
    energy_pj = 49 * 108.0 / 500 / 64 + 28 * 62.3 / 500 / 32
    energy_pj += flip_flops * clock + flip_flops * 14.73 / 48 * toggle
    area_um2 = 49 * 121.212 / 64 + 28 * 117.810 / 32 + flip_flops * 96.768 / 48
    cost = composed_pe_cost(structure_of(get_mac("sm8 x sm8")), Prices.of(ArchConfig()))
    assert cost.energy_pj == pytest.approx(energy_pj, rel=1e-9)
    assert cost.area_um2 == pytest.approx(area_um2, rel=1e-9)
    assert cost.uncertainty == 0.25  # of a fixed accumulator, not of a float's


def test_beside_a_minifloat_it_is_the_fixed_operand_of_a_mixed_mac() -> None:
    structure = structure_of(get_mac("sm8 x e4m3"))
    parts = {name: [(p.part, p.count) for p in parts] for name, parts in structure.combinational.items()}
    # 480 * 127 * 4608 * 2**9 lies between 2**37 and 2**38; shifts by up to 14 places widen 7 + 4 bits to 25.
    assert parts == {
        "pe_multiply": [("multiplier_cell", 28)],
        "pe_shift": [("shifter_bit", 25)],
        "pe_add": [("accumulate_adder_bit", 39)],
    }
    assert structure.converter == ()


def test_it_is_calibrated_as_integers_are() -> None:
    mac = get_mac("sm8 x sm8")
    assert default_policy(mac) == "max"
    exact = {"kind": "fixed", "bits": 64, "lsb": -26}
    assert default_policy(get_mac({"activation": "fp16", "weight": "sm8", "accumulator": exact})) == "max"
    said = unsuited(get_policy("drop_in"), mac)
    assert said is not None
    assert "sign-magnitude integer codes need scales" in said


def test_a_network_runs_in_it_as_in_the_float_of_the_same_values(tmp_path: Path) -> None:
    network = small_network(tmp_path)
    images = network.data.first(40)
    own = infer(network.model, images, "sm8 x sm8")
    same = infer(network.model, images, "e1m6b-5 x e1m6b-5", "max")
    assert (own.logits == same.logits).all()
    assert np.abs(own.logits).max() > 0
    assert images.calibration is not None
    first = next(iter(own.plan.layers.values()))
    assert first.activation_scale == pytest.approx(float(np.abs(images.calibration).max()) / 127, rel=1e-6)
    assert own.warnings == ()
