"""Are the bits that PE registers toggle counted exactly, and sampled honestly?"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from simulator.dataflow import DataflowName
from simulator.foundation import UserError
from simulator.numerics import FixedAccumulator, Mac, get_format, get_mac, multiply
from simulator.numerics.activity import (
    RegisterActivity,
    SwitchingActivity,
    expected_units,
    switching_activity,
    total_activity,
)
from simulator.numerics.counting_lanes import lanes_of
from simulator.numerics.register_bits import (
    hamming,
    zero_pattern,
)
from simulator.numerics.sampling import Estimate, PeArray, Sample
from simulator.numerics.switching import Counter
from tests.numbers.grid_toggles import operand_bits, operand_pattern
from tests.reference.activity import Array as SlowArray

SATURATING: dict[str, Any] = {
    "activation": "int8",
    "weight": "int8",
    "accumulator": {"kind": "fixed", "bits": 16, "lsb": 0, "overflow": "saturate"},
}
FULL_FP16: dict[str, Any] = {
    "activation": "fp16",
    "weight": "fp16",
    "accumulator": {"kind": "float", "format": "fp16"},
}
MACS: list[str | dict[str, Any]] = [
    "int8", "elma8", "elma16", "posit8", "mixed8", "fp8", "fp16", "fp8_fp16", "bf16", "fp32", "e5m2 x e5m2",
    SATURATING, FULL_FP16,
]  # fmt: skip


def values(mac: Mac, M: int, K: int, N: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes of normal values, some zeros among them; integers spread over their range."""
    rng = np.random.default_rng(seed)
    scale = 30.0 if mac.spec.activation.startswith("int") else 1.0
    a = rng.normal(size=(M, K)) * scale * (rng.random((M, K)) < 0.8)
    return mac.activation.encode(a), mac.weight.encode(rng.normal(size=(K, N)) * scale)


def slow_array(mac: Mac, R: int, C: int, *, swapped: bool = False) -> SlowArray:
    """The per-PE array of a MAC; `swapped` when weights move right and activations down."""

    is_fixed = isinstance(mac.accumulator, FixedAccumulator)

    def step(acc: int, a: int, w: int) -> int:
        return int(mac.accumulate(np.asarray(acc, mac.accumulator_dtype), *((w, a) if swapped else (a, w))))

    def product(a: int, w: int) -> int:
        return int(mac.product(*((w, a) if swapped else (a, w)))) if is_fixed else 0

    def zero(fmt: Any) -> int:
        return int(fmt.encode(np.zeros(1))[0])

    def pattern(fmt: Any) -> Any:
        return lambda code: int(fmt.register_patterns(np.array([code]))[0])

    right, down = (mac.weight, mac.activation) if swapped else (mac.activation, mac.weight)
    bits = {
        "a": right.register_bits,
        "w": down.register_bits,
        "p": mac.product_bits,
        "c": mac.accumulator_bits,
    }
    return SlowArray(R, C, step, product, pattern(right), pattern(down), bits, (zero(right), zero(down)))


def slow_counts(
    mac: Mac, a: np.ndarray, w: np.ndarray, dataflow: DataflowName, R: int, C: int
) -> dict[str, int]:
    """Toggles by class, fold after fold on one array."""
    swapped = dataflow == "is"
    array = slow_array(mac, R, C, swapped=swapped)
    if dataflow == "os":
        for m in range(0, a.shape[0], R):
            for n in range(0, w.shape[1], C):
                array.run_output_stationary(a[m : m + R].tolist(), w[:, n : n + C].tolist())
    else:
        streamed, placed = (w.T, a.T) if swapped else (a, w)
        for n in range(0, placed.shape[1], C):
            cut = placed[:, n : n + C]
            sums = [[0] * cut.shape[1] for _ in streamed]
            for k in range(0, placed.shape[0], R):
                sums = array.run_weight_stationary(
                    streamed[:, k : k + R].tolist(), cut[k : k + R].tolist(), sums
                )
    right, down = ("weight", "activation") if swapped else ("activation", "weight")
    names = {right: "a", down: "w", "product": "p", "accumulator": "c"}
    return {name: array.toggles[key] for name, key in names.items()}


def counts(activity: SwitchingActivity) -> dict[str, float]:
    """Toggles by class."""
    return {
        name: getattr(activity, name).toggles for name in ("activation", "weight", "product", "accumulator")
    }


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize(
    "choice",
    MACS,
    ids=lambda choice: choice if isinstance(choice, str) else "custom-" + get_mac(choice).spec.weight,
)
def test_counts_equal_an_array_stepped_register_by_register(
    choice: str | dict[str, Any], dataflow: DataflowName
) -> None:
    mac = get_mac(choice)
    a, w = values(mac, 5, 7, 5)
    activity = switching_activity(mac, a, w, dataflow, rows=3, columns=2)
    assert counts(activity) == slow_counts(mac, a, w, dataflow, 3, 2)


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize(
    "choice",
    MACS,
    ids=lambda choice: choice if isinstance(choice, str) else "custom-" + get_mac(choice).spec.weight,
)
def test_compiled_counts_equal_plain_numpy(choice: str | dict[str, Any], dataflow: DataflowName) -> None:
    mac = get_mac(choice)
    a, w = values(mac, 37, 45, 41, seed=3)
    compiled = switching_activity(mac, a, w, dataflow, rows=16, columns=8)
    assert compiled == plain_counts(mac, a, w, dataflow)


def plain_counts(mac: Mac, a: np.ndarray, w: np.ndarray, dataflow: DataflowName) -> SwitchingActivity:
    """The activity on 16 x 8 PEs without compiled kernels."""

    with pytest.MonkeyPatch.context() as patch:
        for module in ("output_stationary", "operand_stationary"):
            patch.setattr(f"simulator.numerics.{module}.Counter", partial(Counter, compiled=False))
        return switching_activity(mac, a, w, dataflow, rows=16, columns=8)


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("name", ["fp16", "fp8_fp16", "posit8", "elma8", "elma16", "fp8"])
def test_any_codes_at_all_are_counted(name: str, dataflow: DataflowName) -> None:
    """Infinities, NaN, subnormals, overflows: random codes, and sums far too large for narrow lanes."""
    mac, rng = get_mac(name), np.random.default_rng(11)
    a = rng.integers(0, 1 << mac.activation.bits, (19, 21))
    w = rng.integers(0, 1 << mac.weight.bits, (21, 9))
    if name == "posit8":
        a[::2] = mac.activation.encode(np.array(mac.activation.largest))
        w[::2] = mac.weight.encode(np.array(mac.weight.largest))
    compiled = switching_activity(mac, a, w, dataflow, rows=16, columns=8)
    assert compiled == plain_counts(mac, a, w, dataflow)


@pytest.mark.parametrize("dataflow", ["os", "ws"])
@pytest.mark.parametrize("name", ["fp16", "fp8_fp16"])
def test_subnormal_and_infinite_sums_are_counted(name: str, dataflow: DataflowName) -> None:
    mac, rng = get_mac(name), np.random.default_rng(12)
    smallest, largest = mac.activation.smallest_normal, mac.activation.largest
    values = np.array([smallest, -smallest, 1.5 * smallest, 2.0**-5, 1.0, largest, -largest])
    a = mac.activation.encode(rng.choice(values[:5], (19, 40)))
    a[-3:] = mac.activation.encode(rng.choice(values, (3, 40)))
    w = mac.weight.encode(rng.choice(values[:5], (40, 9)))
    w[:, -2:] = mac.weight.encode(np.array(largest))
    sums = mac.to_real(multiply(mac, a, w).accumulators)
    assert np.isinf(sums).any()
    compiled = switching_activity(mac, a, w, dataflow, rows=16, columns=8)
    assert compiled == plain_counts(mac, a, w, dataflow)


def test_ties_of_every_float_accumulator_are_counted() -> None:
    """Sums that a second rounding would put on the other side of a tie.

    (1 + 2**-7) 1.5 = 1 + 1/2 + 2**-7 + 2**-8 lies between two bf16 numbers. A sum of 2**-100 before it
    decides where it goes, and float64 loses that.
    """
    rng = np.random.default_rng(13)
    for accumulator in ("bf16", "fp16", "fp32", "e5m2ieee", "e8m4", "e5m2sat", "tf32"):
        mac = get_mac(
            {"activation": "bf16", "weight": "e4m3", "accumulator": {"kind": "float", "format": accumulator}}
        )
        w = mac.weight.encode(rng.choice([1.0, -1.0, 1.5, 3.0], (7, 9)))
        w[1:, :3] = mac.weight.encode(1.5)
        bits = mac.accumulator_format.significand_bits
        a = np.ldexp(1.0, rng.integers(-2 * bits, 4, (20, 7)))
        a[:, 0], a[:10, 1], a[10:, 1] = 2.0**-100, 1 + 2.0**-7, -1 - 2.0**-7
        for dataflow in ("os", "ws", "is"):
            compiled = switching_activity(mac, mac.activation.encode(a), w, dataflow, rows=16, columns=8)
            assert compiled == plain_counts(mac, mac.activation.encode(a), w, dataflow), accumulator


LANES = {
    "int8": np.int32, "mixed8": np.int32, "fp8": np.float64, "elma8": np.int64, "elma16": np.int64,
    "posit8": np.float64, "e5m2 x e5m2": None, "fp16": np.float64, "fp8_fp16": np.float32, "bf16": np.float32,
    "fp32": np.float32,
}  # fmt: skip
"""What counts ordinary values of each MAC: the lanes of a compiled kernel, None for numpy's."""


@pytest.mark.parametrize("name", LANES)
def test_ordinary_values_are_counted_by_compiled_kernels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mac = get_mac(name)
    a, w = values(mac, 9, 20, 9)
    lanes = lanes_of(mac, a, w)
    assert (None if lanes is None else np.asarray(lanes.zero).dtype.type) == LANES[name]
    if lanes is None:
        return

    def slow(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(Counter, "_still_numpy", slow)
    monkeypatch.setattr(Counter, "_steps_numpy", slow)
    for dataflow in ("os", "ws", "is"):
        assert switching_activity(mac, a, w, dataflow, rows=4, columns=4).accumulator.toggles > 0


def test_sixty_bit_integers_have_lanes_of_64_bits() -> None:
    mac = get_mac(
        {"activation": "int16", "weight": "int16", "accumulator": {"kind": "fixed", "bits": 60, "lsb": 0}}
    )
    lanes = lanes_of(mac, *values(mac, 3, 4, 3))
    assert lanes is not None
    assert np.asarray(lanes.zero).dtype == np.int64


def test_counts_do_not_depend_on_threads() -> None:
    mac = get_mac("elma8")
    a, w = values(mac, 70, 33, 20)
    for dataflow in ("os", "ws", "is"):
        one = switching_activity(mac, a, w, dataflow, rows=8, columns=8, threads=1)
        assert switching_activity(mac, a, w, dataflow, rows=8, columns=8, threads=5) == one


VANISHING: dict[str, Any] = {
    "activation": "log8.1",
    "weight": "log8.1",
    "accumulator": {"kind": "fixed", "bits": 38, "lsb": 99},
}
WIRES: list[tuple[str | dict[str, Any], int]] = [
    ("int8", 16),  # -128 x -128 = 2**14
    ("elma8", 38),
    ("uint3 x uint3", 7),  # 7 x 7 = 49, and a sign
    ("ue3m0 x int4", 10),  # 16 x -8 in units of 2**-2 is -2**9: two's complement spares a bit
    ("int2 x uint2", 4),  # -2 x 3 = -6
    ("fp16", 0),
    (SATURATING | {"accumulator": {"kind": "fixed", "bits": 9, "lsb": 0, "overflow": "sticky"}}, 9),
    # Everything vanishes: 0 and -1.
    (
        {"activation": "log8.1", "weight": "log8.1", "accumulator": {"kind": "fixed", "bits": 38, "lsb": 99}},
        1,
    ),
]


@pytest.mark.parametrize(("choice", "bits"), WIRES, ids=str)
def test_the_wire_of_products_has_the_fewest_bits_that_hold_every_one(choice: Any, bits: int) -> None:
    assert get_mac(choice).product_bits == bits


def test_log8_registers_hold_twelve_unpacked_bits() -> None:
    fmt = get_mac("elma8").activation
    assert fmt.register_bits == 12
    patterns = fmt.register_patterns(np.array([0x00, 0x80, 0x40, 0xC0, 0x7F]))
    # sign, is-infinite, is-zero, exponent, fraction: zero and infinity carry e = -12
    assert [f"{p:012b}" for p in patterns] == [
        "001101000000", "010101000000", "000000000000", "100000000000", "000011000000",
    ]  # fmt: skip
    assert zero_pattern(fmt) == 0b001101000000


def test_register_bits_of_a_pe_are_those_of_the_published_circuits() -> None:
    def flip_flops(name: str) -> int:
        mac = get_mac(name)
        return mac.activation.register_bits + mac.weight.register_bits + mac.accumulator_bits

    infinity = 1
    assert flip_flops("int8") == 48
    assert flip_flops("elma8") + infinity == 63
    assert flip_flops("elma16") + infinity == 82
    assert flip_flops("posit8") + infinity + 2 == 65  # and overflow with its sign


def toggles_of_one_pe(mac: Mac, a: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Bits toggled at each step of one PE, [3, steps]: activation, weight, accumulator."""
    sums = [np.zeros(1, mac.accumulator_dtype)]
    for x, y in zip(a, w, strict=True):
        sums.append(mac.accumulate(sums[-1], x, y))
    series = [
        (mac.activation.register_patterns(a), mac.activation.register_bits),
        (mac.weight.register_patterns(w), mac.weight.register_bits),
        (np.concatenate(sums[1:]), mac.accumulator_bits),
    ]
    return np.array(
        [[hamming(x, y, bits) for x, y in zip(line[1:], line[:-1], strict=True)] for line, bits in series]
    )


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("int8", (4.02, 4.03, 6.68)),
        ("elma8", (4.75, 4.78, 4.73)),
        ("elma16", (6.84, 6.96, 7.59)),
    ],
)
def test_toggles_per_operand_edge_agree_with_the_published_bench(
    name: str, published: tuple[float, float, float]
) -> None:
    """Inner products of 128 normal values: the published stimulus but for its random generator.

    The published figures are means over 10 runs, these over 40; the standard error of a run's mean comes from
    these. Five combined standard errors and the published figures' last digit are allowed.
    """
    mac = get_mac(name)
    rng = np.random.default_rng(1)
    runs = []
    for _ in range(40):
        if name == "int8":
            a, w = np.clip(np.rint(rng.normal(0, 64, (2, 128))), -128, 127).astype(np.int8).view(np.uint8)
        else:
            a, w = mac.activation.encode(rng.normal(size=(2, 128)).astype(np.float32))
        runs.append(toggles_of_one_pe(mac, a, w).mean(axis=1))
    means, spread = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1)
    allowed = 5 * spread * np.sqrt(1 / 40 + 1 / 10) + 0.005
    assert (np.abs(means - published) < allowed).all(), (means, published, allowed)


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("name", ["int8", "elma8", "fp16"])
def test_a_sample_of_all_units_is_exact(name: str, dataflow: DataflowName) -> None:
    mac = get_mac(name)
    a, w = values(mac, 300, 70, 150, seed=5)
    exact = switching_activity(mac, a, w, dataflow)
    every = switching_activity(mac, a, w, dataflow, sampled_units=10**6)
    assert counts(every) == counts(exact)
    assert every.accumulator.standard_error == 0


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_sampled_intervals_hold_the_exact_count_about_as_often_as_they_promise(
    dataflow: DataflowName,
) -> None:
    mac = get_mac("int8")
    a, w = values(mac, 700, 90, 200, seed=9)
    exact = switching_activity(mac, a, w, dataflow, rows=16, columns=16)
    held, totals = 0, set()
    for seed in range(60):
        sampled = switching_activity(mac, a, w, dataflow, rows=16, columns=16, sampled_units=24, seed=seed)
        totals.add(sampled.accumulator.toggles)
        assert 0 < sampled.accumulator.standard_error < exact.accumulator.toggles / 10
        assert 0 < sampled.product.standard_error < exact.product.toggles / 10
        assert sampled.activation == exact.activation
        assert sampled.weight == exact.weight
        low, high = sampled.accumulator.interval
        held += low <= exact.accumulator.toggles <= high
    # 95 % promised; with 60 draws, 48 is more than five standard deviations below.
    assert held >= 48
    assert len(totals) == 60  # each seed draws units of its own


def test_an_estimate_is_the_ratio_estimator() -> None:
    """By hand: 3 of 6 units, counts 2, 5 and 8 of 1, 2 and 3 MACs, 12 MACs in all.

    The ratio is 15 / 6, the total 30. Residuals are -0.5, 0 and 0.5, their squares 0.5 together; the variance
    36 (1 - 3/6) 0.5 / 2 / 3 is 1.5.
    """
    estimate = Estimate.of([2, 5, 8], [1, 2, 3], 12, 6)
    assert estimate.total == 30
    assert estimate.standard_error == pytest.approx(1.5**0.5)
    assert Estimate.of([2, 5, 8], [1, 2, 3], 6, 3) == Estimate(15, 0.0)
    assert estimate.less(4) == Estimate(26, estimate.standard_error)


def test_a_sample_draws_as_many_units_as_asked_for_each_once() -> None:
    assert len(set(Sample(7, seed=3).draw(20))) == 7
    assert Sample(30, seed=3).draw(20) == list(range(20))
    assert PeArray(2, 3, None).drawn(["a", "b"]) == (["a", "b"], 2)
    drawn, population = PeArray(2, 3, Sample(2, 0)).drawn(list("abcde"))
    assert (len(set(drawn)), population) == (2, 5)


@pytest.mark.parametrize(
    ("dataflow", "shape", "units"),
    [("os", (33, 65, 7), 2 * 3), ("os", (32, 64, 999), 1 * 2), ("ws", (129, 65, 100), 4 * 3 * 2),
     ("ws", (128, 64, 96), 3 * 2 * 1), ("is", (65, 129, 100), 4 * 3 * 2), ("is", (64, 128, 96), 3 * 2 * 1)],
)  # fmt: skip
def test_units_to_draw_from_are_folds_and_blocks_of_128_of_their_streams(
    dataflow: DataflowName, shape: tuple[int, int, int], units: int
) -> None:
    M, N, K = shape
    assert expected_units(M, N, K, dataflow) == units
    mac = get_mac("int8")
    a, w = values(mac, M, K, N)
    almost = switching_activity(mac, a, w, dataflow, sampled_units=max(2, units - 1))
    assert (almost.accumulator.standard_error > 0) == (units > 2)
    assert switching_activity(mac, a, w, dataflow, sampled_units=units).accumulator.standard_error == 0


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_steps_widths_and_rates_by_hand(dataflow: DataflowName) -> None:
    """5 x 7 x 4 on 3 x 2 PEs: 2 x 2 folds (os), 3 x 2 (ws) or 3 x 3 (is) of all 6 PEs."""
    mac = get_mac("elma8")
    a, w = values(mac, 5, 7, 4)
    activity = switching_activity(mac, a, w, dataflow, rows=3, columns=2)
    folds, streamed = {"os": (4, 7), "ws": (6, 5), "is": (9, 4)}[dataflow]
    placed = {"os": None, "ws": "weight", "is": "activation"}[dataflow]
    bits = {"activation": 12, "weight": 12, "product": 38, "accumulator": 38}
    for name, width in bits.items():
        counted = getattr(activity, name)
        steps = folds * 6 * (3 if name == placed else streamed)  # what stays is loaded over 3 rows
        assert (counted.bits, counted.bit_steps) == (width, width * steps), name
        assert counted.standard_error == 0
        assert counted.interval == (counted.toggles, counted.toggles)
    assert activity.macs == 140
    assert activity.toggles == sum(counts(activity).values())
    assert (activity.rows, activity.columns, activity.dataflow) == (3, 2, dataflow)
    assert (activity.drain > 0) == (dataflow == "os")


def test_the_usual_array_has_32_rows_and_columns() -> None:
    mac = get_mac("int8")
    a, w = values(mac, 3, 40, 3)
    for dataflow in ("os", "ws", "is"):
        usual = switching_activity(mac, a, w, dataflow)
        assert usual == switching_activity(mac, a, w, dataflow, rows=32, columns=32)
        assert (usual.rows, usual.columns) == (32, 32)


def test_an_interval_is_1_96_standard_errors_wide_on_either_side() -> None:
    activity = RegisterActivity(8, 1000.0, 4000, 10.0)
    low, high = activity.interval
    assert low == pytest.approx(980.4)
    assert high == pytest.approx(1019.6)


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 3), (3, 2, 0)])
@pytest.mark.parametrize("name", ["int8", "elma8", "fp16", "posit8", "fp32"])
def test_empty_products_toggle_no_sums(name: str, shape: tuple[int, int, int]) -> None:
    mac = get_mac(name)
    M, K, N = shape
    a, w = np.zeros((M, K), np.uint8), np.zeros((K, N), np.uint8)
    for dataflow in ("os", "ws", "is"):
        for rows, columns in ((2, 2), (1, 1)):
            activity = switching_activity(mac, a, w, dataflow, rows=rows, columns=columns)
            assert (activity.accumulator.toggles, activity.product.toggles, activity.macs) == (0, 0, 0)


@pytest.mark.parametrize("spec", ["log8.1", "log9.1", "posit8.1", "posit12.0", "posit7.2", "log8.0"])
def test_every_tapered_code_is_held_unpacked(spec: str) -> None:
    """posit12.0 takes 17 bits unpacked: sign, infinity, zero, 5 of exponent, 9 of fraction."""
    fmt = get_format(spec)
    codes = np.arange(1 << fmt.bits, dtype=fmt.code_dtype)
    assert fmt.register_bits == operand_bits(fmt)
    assert fmt.register_patterns(codes).tolist() == [operand_pattern(fmt, code) for code in codes.tolist()]


def test_layers_add_up() -> None:
    mac = get_mac("int8")
    layers = [switching_activity(mac, *values(mac, 20, 30, 40, seed=i), "ws") for i in range(3)]
    total = total_activity(layers)
    assert total.macs == 3 * 20 * 30 * 40
    for name in ("activation", "weight", "product", "accumulator"):
        parts = [getattr(layer, name) for layer in layers]
        assert getattr(total, name).toggles == sum(part.toggles for part in parts)
        assert getattr(total, name).bit_steps == sum(part.bit_steps for part in parts)
        assert getattr(total, name).bits == parts[0].bits
    assert total.toggles == sum(layer.toggles for layer in layers)
    assert total.drain == 0
    drained = [switching_activity(mac, *values(mac, 20, 30, 40, seed=i), "os") for i in range(2)]
    assert total_activity(drained).drain == drained[0].drain + drained[1].drain
    assert total_activity(drained[:1]) == drained[0]
    errors = RegisterActivity(8, 5, 100, 3.0) + RegisterActivity(8, 6, 100, 4.0)
    assert errors == RegisterActivity(8, 11, 200, 5.0)
    with pytest.raises(UserError, match="different widths"):
        _ = RegisterActivity(8, 5, 100) + RegisterActivity(9, 6, 100)


def test_relu_makes_ws_partial_sums_toggle_more_than_os_sums() -> None:
    mac, rng = get_mac("int8"), np.random.default_rng(2)
    a = np.maximum(np.rint(rng.normal(0, 40, (128, 256))), 0).clip(0, 127).astype(np.int8)
    w = np.rint(rng.normal(0, 20, (256, 64))).clip(-128, 127).astype(np.int8)
    still = switching_activity(mac, a, w, "os").accumulator.toggles
    moving = switching_activity(mac, a, w, "ws").accumulator.toggles
    assert moving > still


def test_what_cannot_be_counted_is_refused() -> None:
    mac = get_mac("int8")
    a, w = np.zeros((2, 3), np.int8), np.zeros((3, 2), np.int8)
    with pytest.raises(UserError, match=r"unknown dataflow.*'rs'"):
        switching_activity(mac, a, w, "rs")
    with pytest.raises(UserError, match="at least one row"):
        switching_activity(mac, a, w, "os", rows=0)
    with pytest.raises(UserError, match="at least 2 sampled units"):
        switching_activity(mac, a, w, "os", sampled_units=1)
    with pytest.raises(UserError, match="shapes do not match"):
        switching_activity(mac, a, a, "os")
    first = switching_activity(mac, a, w, "os")
    with pytest.raises(UserError, match="different arrays"):
        _ = first + switching_activity(mac, a, w, "ws")
    with pytest.raises(UserError, match="no activity"):
        total_activity([])
