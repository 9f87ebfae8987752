"""Products on a device against the CPU's engines and, for some sums, slow exact arithmetic."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.inference.exact_arithmetic import exact_accumulator
from simulator.numerics import Mac, get_mac, multiply
from simulator.numerics.gpu import Device, chosen_device, multiply_device_arrays, multiply_on, open_device
from simulator.numerics.gpu.half_flushing import boundary_sums, flushes_as_formats_do
from tests.numbers.gpu_devices import DEVICES, device_named
from tests.preset_macs import WITHOUT_BLOCKS

KERNELS = {
    "int8": "sum of |a b|",
    "elma8": "table entries by sums of logarithms, exact in float64",
    "elma16": "table entries by sums of logarithms, exact modulo 2^64",
    "fp16": "half-precision fused multiply-adds in the order of k, one rounding each, checked",
    "posit8": "sum of |a b|",
    "mixed8": "sum of |a b|",
    "fp8": "sum of |a b|",
    "fp8_fp16": "half-precision fused multiply-adds in the order of k, one rounding each, on",
    "bf16": "float32 fused multiply-adds",
    "fp32": "float32 fused multiply-adds",
}
OTHERS = ("int4 x e4m3", "sm8 x sm8", "e3m4 x e2m5", "uint8 x int8")
BY_FIELDS: tuple[dict[str, Any], ...] = (
    {
        "activation": "int8",
        "weight": "int8",
        "accumulator": {"kind": "fixed", "bits": 18, "overflow": "saturate"},
    },
    {
        "activation": "int8",
        "weight": "int8",
        "accumulator": {"kind": "fixed", "bits": 17, "overflow": "sticky"},
    },
    {
        "activation": "int8",
        "weight": "int8",
        "accumulator": {"kind": "fixed", "bits": 16, "overflow": "wrap"},
    },
    {"activation": "e4m3", "weight": "e4m3", "accumulator": {"kind": "fixed", "bits": 40, "lsb": -10}},
    {"activation": "fp16", "weight": "fp16", "accumulator": {"kind": "float", "format": "fp16"}},
    {"activation": "bf16", "weight": "e4m3fn", "accumulator": {"kind": "float", "format": "bf16"}},
    {"activation": "e4m3fn", "weight": "e4m3fn", "accumulator": {"kind": "float", "format": "e5m10"}},
    {"activation": "tf32", "weight": "tf32", "accumulator": {"kind": "float", "format": "tf32"}},
    {"activation": "fp32", "weight": "bf16", "accumulator": {"kind": "float", "format": "fp32"}},
)
SHAPES = ((1, 1, 1), (5, 7, 3), (33, 65, 40), (130, 33, 131))


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Device:
    return device_named(request.param)


def any_codes(mac: Mac, shape: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    M, K, N = shape
    sizes = ((mac.activation, (M, K)), (mac.weight, (K, N)))
    a, w = (rng.integers(0, 1 << fmt.bits, size).astype(fmt.code_dtype) for fmt, size in sizes)
    return a, w


def network_codes(mac: Mac, shape: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Half of the activations zero, as after a ReLU."""
    rng = np.random.default_rng(seed)
    M, K, N = shape
    a = np.maximum(rng.standard_normal((M, K)), 0) * 3
    return mac.activation.encode(a), mac.weight.encode(rng.standard_normal((K, N)))


def assert_same(device: Device, mac: Mac, a: Any, w: Any, initial: Any = None) -> str:
    found, wanted = multiply_on(device, mac, a, w, initial), multiply(mac, a, w, initial)
    assert found.engine == "gpu", found.reason
    assert found.accumulators.dtype == wanted.accumulators.dtype
    np.testing.assert_array_equal(found.accumulators, wanted.accumulators)
    np.testing.assert_array_equal(found.is_infinite, wanted.is_infinite)
    assert (found.overflow is None) == (wanted.overflow is None)
    if found.overflow is not None and wanted.overflow is not None:
        np.testing.assert_array_equal(found.overflow, wanted.overflow)
    return found.reason


def test_every_preset_has_a_kernel_here() -> None:
    assert set(KERNELS) == set(WITHOUT_BLOCKS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [*KERNELS, *OTHERS])
def test_random_codes(device: Device, name: str, shape: tuple[int, int, int]) -> None:
    mac = get_mac(name)
    assert_same(device, mac, *any_codes(mac, shape, 1))
    reason = assert_same(device, mac, *network_codes(mac, shape, 2))
    assert reason.startswith(KERNELS.get(name, "sum of |a b|"))


@pytest.mark.parametrize("fields", BY_FIELDS, ids=str)
def test_registers_of_other_kinds(device: Device, fields: dict[str, Any]) -> None:
    mac = get_mac(fields)
    for shape in SHAPES:
        for make in (any_codes, network_codes):
            a, w = make(mac, shape, 3)
            fmt = mac.accumulator.number_format
            if fmt is not None and not fmt.has_nan:
                a, w = _finite(mac.activation, a), _finite(mac.weight, w)
            assert_same(device, mac, a, w)


def _finite(fmt: Any, codes: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(fmt.decode(codes)), codes, 0).astype(codes.dtype)


@pytest.mark.parametrize("name", [name for name in KERNELS if name not in ("fp16", "elma16", "bf16", "fp32")])
def test_every_pair_of_codes(device: Device, name: str) -> None:
    mac = get_mac(name)
    a, w = np.arange(256, dtype=np.uint8)[:, None], np.arange(256, dtype=np.uint8)[None, :]
    assert_same(device, mac, a, w)
    # Twice, so that sums past an end meet the register's rule.
    assert_same(device, mac, np.repeat(a, 2, axis=1), np.repeat(w, 2, axis=0))


@pytest.mark.parametrize("name", [*KERNELS, "e3m4 x e2m5"])
def test_against_slow_exact_arithmetic(device: Device, name: str) -> None:
    mac = get_mac(name)
    a, w = network_codes(mac, (4, 50, 5), 7)
    found = multiply_on(device, mac, a, w)
    assert found.engine == "gpu"
    is_float = mac.accumulator.number_format is not None
    held = mac.to_real(found.accumulators) if is_float else found.accumulators
    for m in range(4):
        for n in range(5):
            assert held[m, n] == exact_accumulator(mac, a[m].tolist(), w[:, n].tolist())


def halves(*values: float) -> np.ndarray:
    return np.array(values, np.float16).view(np.uint16)


TINY = 2.0**-14
"""The smallest normal half."""


@pytest.mark.parametrize(
    ("a", "w", "wanted"),
    [
        # One product x, beside nothing: rounded to 11 bits first, then flushed. 2^-14 - 2^-26 is the tie, and
        # goes to the even 2^-14; what is below becomes zero, though a subnormal step would round it up.
        ([(2.0**11 - 1) * 2.0**-11], [TINY], 0.0),  # 2^-14 - 2^-25: below
        ([1 - 2.0**-11 * 1.0], [-TINY], -0.0),
        ([TINY * (1 + 2.0**-10)], [1 - 2.0**-10], 0.0),  # 2^-14 (1 - 2^-20) has more bits than its operands
        ([TINY], [1.0], TINY),
        ([TINY * (1 + 2.0**-10)], [1 - 2.0**-11], TINY),  # 2^-14 (1 + 2^-11 - 2^-21)
        ([2.0**-15 * 2], [0.5], 0.0),
        ([TINY, -TINY], [1.5, 1.0], 0.0),  # the difference 2^-15 is subnormal
        ([2.0**-10, TINY, -(2.0**-10)], [1.0, 1.0, 1.0], TINY),
        ([65504.0, 65504.0], [1.0, 1.0], np.inf),
        ([65504.0, 65504.0], [1.0, -1.0], 0.0),
        ([65504.0, 15.99], [1.0, 1.0], 65504.0),
        ([65504.0, 16.0], [1.0, 1.0], np.inf),  # the tie goes to the even number, which is infinity
        ([np.inf, np.inf], [1.0, -1.0], np.nan),
        ([2.0**-24 * 3, 1.0], [2.0**10, 0.0], 0.0),  # a subnormal operand is zero
    ],
)
def test_halves_that_become_zero_or_infinite(
    device: Device, a: list[float], w: list[float], wanted: float
) -> None:
    mac = get_mac("fp16")
    x, y = halves(*a)[None, :], halves(*w)[:, None]
    result = multiply_on(device, mac, np.repeat(x, 3, axis=0), np.repeat(y, 3, axis=1))
    assert result.engine == "gpu"
    if (a, w) == ([TINY * (1 + 2.0**-10)], [1 - 2.0**-10]):  # 2^-14 (1 - 2^-20) rounds up to 2^-14
        wanted = TINY
    value = np.array([wanted], np.float16).view(np.uint16)[0]
    if np.isnan(wanted):
        value = 0x7E00
    np.testing.assert_array_equal(result.accumulators, np.full((3, 3), value, np.uint16))
    np.testing.assert_array_equal(multiply(mac, x, y).accumulators, [[value]])


def test_halves_next_to_the_smallest_normal_number(device: Device) -> None:
    """All products of two significands whose value lies within a unit of 2^-14."""
    mac = get_mac("fp16")
    significands = np.arange(1024, 2048)
    a = (significands * 2.0**-17).astype(np.float16)  # 2^-7 to 2^-6
    rows, columns = [], []
    for exponent in (-18, -17):
        w = (significands * 2.0**exponent).astype(np.float16)
        products = a.astype(np.float64)[:, None] * w.astype(np.float64)[None, :]
        m, n = np.nonzero(np.abs(products - TINY) < 2.0**-24)
        rows.append(a[m])
        columns.append(w[n])
    left, right = np.concatenate(rows).view(np.uint16), np.concatenate(columns).view(np.uint16)
    assert len(left) > 300
    products = left.view(np.float16).astype(np.float64) * right.view(np.float16).astype(np.float64)
    wanted = np.where(products >= TINY - 2.0**-26, products, 0.0).astype(np.float16).view(np.uint16)
    # Each product stands alone on the diagonal.
    found = multiply_on(device, mac, left[:, None], right[None, :]).accumulators.diagonal()
    np.testing.assert_array_equal(found, wanted)


def test_a_flushing_step_is_compared_before_it_is_used(device: Device) -> None:
    """Another rule is found out: the interpreter's step rounds to the subnormal step first."""
    rows = boundary_sums().view(np.float16).astype(np.float64)
    sums = rows[:, 0] * rows[:, 1] + rows[:, 2]
    between = (sums >= TINY - 2.0**-25) & (sums < TINY - 2.0**-26)
    assert (
        np.count_nonzero(between) > 100
    )  # rounded to 11 bits these stay below, to subnormal steps they do not
    assert np.count_nonzero((sums >= TINY - 2.0**-26) & (sums < TINY)) > 100  # these must not become zero
    if device.name == "an interpreter":
        assert not flushes_as_formats_do(device)
        return
    mac = get_mac("fp16")
    a, w = network_codes(mac, (70, 200, 66), 8)
    if flushes_as_formats_do(device):
        assert_same(device, mac, a, w)


@pytest.mark.parametrize("name", ["int8", "elma8", "fp16", "posit8", "bf16", "elma16"])
def test_starting_from_given_accumulators(device: Device, name: str) -> None:
    mac = get_mac(name)
    a, w = network_codes(mac, (20, 30, 18), 5)
    start = multiply(mac, *network_codes(mac, (20, 9, 18), 6)).accumulators
    assert_same(device, mac, a, w, start)


@pytest.mark.parametrize(
    ("overflow", "held", "signs"), [("saturate", -(1 << 63), None), ("sticky", (1 << 63) - 1, -1)]
)
def test_starting_from_the_least_of_64_bits(
    device: Device, overflow: str, held: int, signs: int | None
) -> None:
    accumulator = {"kind": "fixed", "bits": 64, "lsb": 0, "overflow": overflow}
    mac = get_mac({"activation": "int8", "weight": "int8", "accumulator": accumulator})
    a, w = np.array([[-1]], np.int8), np.array([[1]], np.int8)
    found = multiply_on(device, mac, a, w, [[-(1 << 63)]])
    assert found.accumulators.tolist() == [[held]]
    assert (None if found.overflow is None else int(found.overflow[0, 0])) == signs


def test_starting_from_float32_that_float64_adds(device: Device) -> None:
    fields = {"kind": "float", "format": "fp32", "flush_subnormals": True}
    mac = get_mac({"activation": "e5m2ieee", "weight": "posit16.0", "accumulator": fields})
    start = [-0.0, 2.0**-149, -(2.0**-127), 2.0**-126, 1 + 2.0**-23, -3.0e38, np.inf, np.nan]
    initial = np.array([start], np.float32).view(np.uint32)
    for value in (0.0, 1.0):
        a, w = mac.activation.encode([[value]]), mac.weight.encode([[1.0] * len(start)])
        assert_same(device, mac, a, w, initial)


def test_subnormal_float32_products_and_sums_are_kept(device: Device) -> None:
    mac = get_mac("fp32")
    a = np.array([[2.0**-100, 2.0**-140, 1.0]], np.float32)
    w = np.array([[2.0**-40, 2.0**-9, 2.0**-149]], np.float32).T
    # 2^-140 + 2^-149 + 2^-149, all of them subnormal.
    found = multiply_on(device, mac, a.view(np.uint32), w.view(np.uint32))
    assert found.engine == "gpu"
    assert mac.to_real(found.accumulators)[0, 0] == 2.0**-140 + 2.0**-148


def test_sums_past_a_sticky_end_keep_the_first_sign(device: Device) -> None:
    mac = get_mac("posit8")
    largest = int(np.argmax(np.where(np.isfinite(mac.activation.values()), mac.activation.values(), 0)))
    minus = largest | 0x80
    a = np.array([[largest] * 6], np.uint8)
    w = np.array([[largest] * 3 + [minus] * 3, [minus] * 3 + [largest] * 3], np.uint8).T
    # 2^24 a product in a register that ends below 2^13: the first product decides.
    result = multiply_on(device, mac, a, w)
    assert result.engine == "gpu"
    assert result.overflow is not None
    np.testing.assert_array_equal(result.overflow, [[1, -1]])
    assert "overflow watched" in result.reason


def test_what_has_no_kernel_runs_on_the_cpu_and_says_so(device: Device) -> None:
    mac = get_mac("posit8.2 x posit8.2")
    a, w = network_codes(mac, (6, 5, 4), 1)
    result, wanted = multiply_on(device, mac, a, w), multiply(mac, a, w)
    assert result.engine == wanted.engine != "gpu"
    assert result.reason.endswith(
        f"; on the CPU, since no kernel has a register of {mac.accumulator_bits} bits; 64 at most"
    )
    np.testing.assert_array_equal(result.accumulators, wanted.accumulators)


def test_arrays_that_lie_on_the_device_stay_there(device: Device) -> None:
    mac = get_mac("elma8")
    a, w = any_codes(mac, (40, 20, 30), 9)
    found = multiply_device_arrays(device, mac, device.to_device(a), device.to_device(w))
    assert isinstance(found.accumulators, type(device.to_device(a)))
    wanted = multiply(mac, a, w).accumulators
    np.testing.assert_array_equal(device.to_host(found.accumulators), wanted)


def test_tensors_of_pytorch_are_taken_without_a_copy() -> None:
    device = device_named("card")
    torch = pytest.importorskip("torch")
    mac = get_mac("int8")
    rng = np.random.default_rng(0)
    a, w = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((70, 90), (90, 50)))
    tensors = [torch.from_numpy(each).cuda() for each in (a, w)]
    assert device.to_device(tensors[0]).data.ptr == tensors[0].data_ptr()
    found = multiply_device_arrays(device, mac, *tensors)
    result = torch.from_dlpack(found.accumulators)
    assert result.data_ptr() == found.accumulators.data.ptr
    np.testing.assert_array_equal(result.cpu().numpy(), a.astype(np.int64) @ w.astype(np.int64))


@pytest.mark.parametrize(
    ("a", "w", "said"),
    [
        (np.zeros((3, 4), np.uint8), np.zeros((5, 2), np.uint8), "shapes do not match"),
        (
            np.zeros((3, 4), np.float32),
            np.zeros((4, 2), np.uint8),
            r"activations \[M, K\] are not codes of int8",
        ),
        (np.zeros((3, 4), np.uint8), np.zeros((4, 2), np.uint16), r"weights \[K, N\] are not codes of int8"),
    ],
)
def test_arrays_that_do_not_fit(device: Device, a: np.ndarray, w: np.ndarray, said: str) -> None:
    with pytest.raises(UserError, match=said):
        multiply_device_arrays(device, get_mac("int8"), device.to_device(a), device.to_device(w))


def test_a_device_is_chosen_by_name() -> None:
    assert chosen_device("cpu") is None
    with pytest.raises(UserError, match="unknown device") as caught:
        chosen_device("gpus")
    assert "gpu" in str(caught.value)
    if importlib.util.find_spec("cupy") is None:
        with pytest.raises(UserError, match="a GPU needs CuPy, which is not installed") as caught:
            chosen_device("gpu")
        assert "pip install 'systolic-simulator[gpu]'" in str(caught.value)


def test_an_installed_cupy_that_cannot_be_loaded_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = """
try:
    raise ImportError("libcublas.so.13: none")
except ImportError as error:
    raise ImportError("=====\\nlong\\n=====") from error
"""
    (tmp_path / "cupy.py").write_text(package, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    open_device.cache_clear()
    with pytest.raises(UserError, match="installed but cannot be loaded") as caught:
        open_device()
    assert "libcublas.so.13: none" in str(caught.value)
    assert "\n" not in str(caught.value)
