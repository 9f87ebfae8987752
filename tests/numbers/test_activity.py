"""Are the bits that PE registers toggle counted exactly, and sampled honestly?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.numerics import Mac, get_mac
from simulator.numerics.activity import Dataflow, SwitchingActivity, switching_activity, total_activity
from simulator.numerics.registers import hamming, register_bits, register_patterns, zero_pattern
from simulator.numerics.switching import Counter, product_bits
from tests.reference.activity import Array

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


def slow_array(mac: Mac, R: int, C: int, *, swapped: bool = False) -> Array:
    """The per-PE array of a MAC; `swapped` when weights move right and activations down."""

    def step(acc: int, a: int, w: int) -> int:
        return int(mac.accumulate(np.asarray(acc, mac.accumulator_dtype), *((w, a) if swapped else (a, w))))

    def product(a: int, w: int) -> int:
        return int(mac.product(*((w, a) if swapped else (a, w)))) if mac.is_fixed else 0

    def zero(fmt: Any) -> int:
        return int(fmt.encode(np.zeros(1))[0])

    def pattern(fmt: Any) -> Any:
        return lambda code: int(register_patterns(fmt, np.array([code]))[0])

    right, down = (mac.weight, mac.activation) if swapped else (mac.activation, mac.weight)
    bits = {
        "a": register_bits(right),
        "w": register_bits(down),
        "p": product_bits(mac),
        "c": mac.accumulator_bits,
    }
    return Array(R, C, step, product, pattern(right), pattern(down), bits, (zero(right), zero(down)))


def slow_counts(mac: Mac, a: np.ndarray, w: np.ndarray, dataflow: Dataflow, R: int, C: int) -> dict[str, int]:
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
            for k in range(0, placed.shape[0], R):
                array.run_weight_stationary(
                    streamed[:, k : k + R].tolist(), placed[k : k + R, n : n + C].tolist()
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
    choice: str | dict[str, Any], dataflow: Dataflow
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
def test_compiled_counts_equal_plain_numpy(choice: str | dict[str, Any], dataflow: Dataflow) -> None:
    mac = get_mac(choice)
    a, w = values(mac, 37, 45, 41, seed=3)
    compiled = switching_activity(mac, a, w, dataflow, rows=16, columns=8)
    assert compiled == plain_counts(mac, a, w, dataflow)


def plain_counts(mac: Mac, a: np.ndarray, w: np.ndarray, dataflow: Dataflow) -> SwitchingActivity:
    """The activity on 16 x 8 PEs without compiled kernels."""

    class Plain(Counter):
        def __init__(self, mac: Mac, a: np.ndarray, w: np.ndarray) -> None:
            super().__init__(mac, a, w)
            self._kind, self._scaled = "numpy", None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulator.numerics.activity.Counter", Plain)
        return switching_activity(mac, a, w, dataflow, rows=16, columns=8)


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("name", ["fp16", "fp8_fp16", "posit8", "elma8", "elma16", "fp8"])
def test_any_codes_at_all_are_counted(name: str, dataflow: Dataflow) -> None:
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
def test_subnormal_and_infinite_sums_are_counted(name: str, dataflow: Dataflow) -> None:
    mac, rng = get_mac(name), np.random.default_rng(12)
    smallest, largest = mac.activation.smallest_normal, mac.activation.largest
    values = np.array([smallest, -smallest, 1.5 * smallest, 2.0**-5, 1.0, largest, -largest])
    a = mac.activation.encode(rng.choice(values[:5], (19, 40)))
    a[-3:] = mac.activation.encode(rng.choice(values, (3, 40)))
    w = mac.weight.encode(rng.choice(values[:5], (40, 9)))
    w[:, -2:] = mac.weight.encode(np.array(largest))
    sums = mac.to_real(mac.matmul(a, w))
    assert np.isinf(sums).any()
    compiled = switching_activity(mac, a, w, dataflow, rows=16, columns=8)
    assert compiled == plain_counts(mac, a, w, dataflow)


def test_counts_do_not_depend_on_threads() -> None:
    mac = get_mac("elma8")
    a, w = values(mac, 70, 33, 20)
    for dataflow in ("os", "ws", "is"):
        one = switching_activity(mac, a, w, dataflow, rows=8, columns=8, threads=1)
        assert switching_activity(mac, a, w, dataflow, rows=8, columns=8, threads=5) == one


def test_log8_registers_hold_twelve_unpacked_bits() -> None:
    fmt = get_mac("elma8").activation
    assert register_bits(fmt) == 12
    patterns = register_patterns(fmt, np.array([0x00, 0x80, 0x40, 0xC0, 0x7F]))
    # sign, is-infinite, is-zero, exponent, fraction: zero and infinity carry e = -12
    assert [f"{p:012b}" for p in patterns] == [
        "001101000000", "010101000000", "000000000000", "100000000000", "000011000000",
    ]  # fmt: skip
    assert zero_pattern(fmt) == 0b001101000000


def test_register_bits_of_a_pe_are_those_of_the_published_circuits() -> None:
    def flip_flops(name: str) -> int:
        mac = get_mac(name)
        return register_bits(mac.activation) + register_bits(mac.weight) + mac.accumulator_bits

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
        (register_patterns(mac.activation, a), register_bits(mac.activation)),
        (register_patterns(mac.weight, w), register_bits(mac.weight)),
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
def test_a_sample_of_all_units_is_exact(name: str, dataflow: Dataflow) -> None:
    mac = get_mac(name)
    a, w = values(mac, 300, 70, 150, seed=5)
    exact = switching_activity(mac, a, w, dataflow)
    every = switching_activity(mac, a, w, dataflow, sampled_units=10**6)
    assert counts(every) == counts(exact)
    assert every.accumulator.standard_error == 0


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_sampled_intervals_hold_the_exact_count_about_as_often_as_they_promise(dataflow: Dataflow) -> None:
    mac = get_mac("int8")
    a, w = values(mac, 700, 90, 200, seed=9)
    exact = switching_activity(mac, a, w, dataflow, rows=16, columns=16)
    held = 0
    for seed in range(60):
        sampled = switching_activity(mac, a, w, dataflow, rows=16, columns=16, sampled_units=24, seed=seed)
        assert sampled.activation == exact.activation
        assert sampled.weight == exact.weight
        low, high = sampled.accumulator.interval
        held += low <= exact.accumulator.toggles <= high
    # 95 % promised; with 60 draws, 48 is more than five standard deviations below.
    assert held >= 48


def test_layers_add_up() -> None:
    mac = get_mac("int8")
    layers = [switching_activity(mac, *values(mac, 20, 30, 40, seed=i), "ws") for i in range(3)]
    total = total_activity(layers)
    assert total.macs == 3 * 20 * 30 * 40
    assert total.accumulator.toggles == sum(layer.accumulator.toggles for layer in layers)
    assert total.toggles == sum(layer.toggles for layer in layers)


def test_relu_makes_ws_partial_sums_toggle_more_than_os_sums() -> None:
    mac, rng = get_mac("int8"), np.random.default_rng(2)
    a = np.maximum(np.rint(rng.normal(0, 40, (128, 256))), 0).clip(0, 127).astype(np.int8)
    w = np.rint(rng.normal(0, 20, (256, 64))).clip(-128, 127).astype(np.int8)
    still = switching_activity(mac, a, w, "os").toggles_per_mac("accumulator")
    moving = switching_activity(mac, a, w, "ws").toggles_per_mac("accumulator")
    assert moving > still


def test_what_cannot_be_counted_is_refused() -> None:
    mac = get_mac("int8")
    a, w = np.zeros((2, 3), np.int8), np.zeros((3, 2), np.int8)
    with pytest.raises(UserError, match=r"unknown dataflow.*'rs'"):
        switching_activity(mac, a, w, "rs")  # type: ignore[arg-type]
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
