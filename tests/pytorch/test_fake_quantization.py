"""Does fake quantization have every bit of every format, and the gradients that are derived by hand?"""

from __future__ import annotations

import copy
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'systolic-simulator[torch]'")

from simulator.foundation import UserError
from simulator.inference.quantization import encode, to_codes
from simulator.numerics.formats import example_specs, get_format
from simulator.pytorch import FakeQuantize, fake_quantize
from tests.numbers.format_cases import nearest_formats, tapered_values
from tests.reference.formats import MINUS_INFINITY, MINUS_ZERO, NAN, PLUS_INFINITY, Value

SPECIAL = [
    0.0,
    -0.0,
    math.inf,
    -math.inf,
    math.nan,
    1e-45,
    -1e-45,
    1e-40,
    2.0**-126,
    3.4028235e38,
    -3.4028235e38,
]


def values_around(spec: str) -> NDArray[np.float32]:
    """Special values, the format's own values, their midpoints, neighbours of both, and random ones."""
    fmt = get_format(spec)
    if fmt.bits <= 12:
        own = np.unique(fmt.values()[np.isfinite(fmt.values())])
    else:
        own = np.unique(fmt.decode(np.random.default_rng(1).integers(0, 1 << min(fmt.bits, 62), 500)))
        own = own[np.isfinite(own)]
    random = np.random.default_rng(0)
    spread = random.normal(size=300) * 10.0 ** random.uniform(-6, 6, size=300)
    with np.errstate(over="ignore"):
        near = np.concatenate([own, (own[1:] + own[:-1]) / 2, [2 * own[-1], 2 * own[0]]]).astype(np.float32)
        steps = [np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
    return np.concatenate([np.array(SPECIAL, np.float32), near, *steps, spread.astype(np.float32)])


def bits(values: Any) -> NDArray[np.uint32]:
    """Patterns of float32 values, all NaN alike."""
    array = np.asarray(values, np.float32)
    return np.where(np.isnan(array), np.float32(np.nan), array).view(np.uint32)


def assert_same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(bits(found), bits(expected))


@pytest.mark.parametrize("spec", sorted({*example_specs(), "int3", "uint5", "e2m1", "log6.1", "posit6.1"}))
@pytest.mark.parametrize("scale", [1.0, 0.25, 0.0437, 3.3e4])
def test_values_are_those_of_the_codes_that_the_format_gives(spec: str, scale: float) -> None:
    fmt = get_format(spec)
    values = values_around(spec)
    found = fake_quantize(torch.from_numpy(values), spec, scale)
    assert found.dtype == torch.float32
    with np.errstate(over="ignore", invalid="ignore"):
        codes = fmt.encode(values.astype(np.float64) / scale)
        assert_same(found, (fmt.decode(codes) * scale).astype(np.float32))
        # Where float32 holds every value of the format, rounding again changes no code.
        if scale == 1.0 and fmt.bits <= 8:
            np.testing.assert_array_equal(fmt.encode(found.numpy()), codes)


def as_float(value: Value) -> float:
    names = {NAN: math.nan, PLUS_INFINITY: math.inf, MINUS_INFINITY: -math.inf, MINUS_ZERO: -0.0}
    return names[value] if isinstance(value, str) else float(value)


@pytest.mark.parametrize(
    "spec", ["int3", "uint4", "fix6.3", "e2m1", "e4m3", "e3m2b9", "e5m2ieee", "e4m3fn", "ue3m2"]
)
@pytest.mark.parametrize("exponent", [0, -3, 5])
def test_values_are_the_nearest_of_the_formats_definition(spec: str, exponent: int) -> None:
    """Against `tests/reference`: one value at a time in Fractions; powers of two divide exactly."""
    reference = nearest_formats()[spec]
    scale = 2.0**exponent
    values = values_around(spec)
    values = values[np.isfinite(values)]
    expected = [
        as_float(reference.values[reference.nearest(Fraction(value) / Fraction(scale))]) * scale
        for value in values.tolist()
    ]
    with np.errstate(over="ignore"):
        found, wanted = np.asarray(fake_quantize(torch.from_numpy(values), spec, scale)), np.array(expected)
    zero = wanted == 0  # the reference gives signs of zeros from the format's codes only
    np.testing.assert_array_equal(found[~zero], wanted[~zero].astype(np.float32))
    assert (found[zero] == 0).all()


@pytest.mark.parametrize("spec", ["posit8.1", "posit6.0", "log8.1", "log6.2"])
def test_tapered_values_stay_as_they_are(spec: str) -> None:
    own = [float(value) for value in tapered_values()[spec] if isinstance(value, Fraction)]
    values = np.array([value for value in own if value == np.float32(value)], np.float32)
    assert len(values) >= len(own) // 2
    assert_same(fake_quantize(torch.from_numpy(values), spec), values)


@pytest.mark.parametrize("spec", ["int8", "e4m3", "log16", "log8.1", "posit8.1", "bf16"])
def test_encodings_are_those_of_inference(spec: str) -> None:
    """Activations are multiplied by a reciprocal in float32, weights divided in float64."""
    fmt, scale = get_format(spec), 0.0437
    values = values_around(spec)
    values = values[np.isfinite(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        activations = fmt.decode(encode(values, fmt, scale).codes) * scale
        weights = fmt.decode(to_codes(values.astype(np.float64) / scale, fmt)) * scale
        for encoding, expected in (("activation", activations), ("weight", weights)):
            found = fake_quantize(torch.from_numpy(values), spec, scale, encoding=encoding)  # type: ignore[arg-type]
            assert_same(found, expected.astype(np.float32))


def test_large_tensors_take_the_compiled_way_with_the_same_bits() -> None:
    values = np.random.default_rng(0).normal(size=(3, 1 << 16)).astype(np.float32)
    whole = fake_quantize(torch.from_numpy(values), "e4m3", 0.013)
    parts = [
        fake_quantize(torch.from_numpy(part), "e4m3", 0.013) for part in np.split(values.reshape(-1), 64)
    ]
    assert_same(whole.reshape(-1), torch.cat(parts))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (4, 3, 2, 5)])
def test_any_shape_and_order_in_memory(shape: tuple[int, ...]) -> None:
    values = torch.randn(shape)
    turned = values.permute(tuple(reversed(range(values.dim()))))
    found = fake_quantize(turned, "int4", 0.3)
    assert found.shape == turned.shape
    expected = (
        get_format("int4").decode(get_format("int4").encode(turned.numpy().astype(np.float64) / 0.3)) * 0.3
    )
    assert_same(found, expected.astype(np.float32))


def test_other_floats_keep_their_type() -> None:
    """1.3 / 0.1 is 13.0 in float64; 3 bits of e2m1 at scale 1 round 1.3 to 1.5."""
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        found = fake_quantize(torch.tensor([1.3, -2.6, 100.0], dtype=dtype), "e2m1")
        assert found.dtype == dtype
        assert found.tolist() == [1.5, -3.0, 6.0]


def test_scales_of_channels() -> None:
    """int3 holds -4 to 3: 1.0 / 0.5 = 2, 1.0 / 0.25 = 4 becomes 3; ties of 2.5 go to the even 2."""
    values = torch.tensor([[1.0, -1.0, 1.25], [1.0, -1.0, 0.625]])
    found = fake_quantize(values, "int3", torch.tensor([0.5, 0.25]), axis=0)
    assert found.tolist() == [[1.0, -1.0, 1.0], [0.75, -1.0, 0.5]]
    turned = fake_quantize(values.T, "int3", np.array([0.5, 0.25]), axis=-1)
    assert turned.tolist() == found.T.tolist()


def gradients(values: list[float], spec: str, scale: float, **choices: Any) -> list[float]:
    """Of a sum whose terms weigh 1, 2, 3, ..."""
    given = torch.tensor(values, requires_grad=True)
    weights = torch.arange(1.0, len(values) + 1)
    fake_quantize(given, spec, scale, **choices).backward(weights)
    assert given.grad is not None
    return [float(each) for each in given.grad]


def test_gradients_by_hand() -> None:
    """int3 at scale 0.5 reaches from -2 to 1.5, both ends included."""
    values = [-2.1, -2.0, 0.3, 1.5, 1.6, math.nan, math.inf, -math.inf]
    assert gradients(values, "int3", 0.5) == [0, 2, 3, 4, 0, 0, 0, 0]
    assert gradients(values, "int3", 0.5, outside="pass") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert gradients([-0.1, 0.0, 7.0, 7.2], "uint3", 1.0) == [0, 2, 3, 0]
    assert gradients([6.0, 6.1, -6.0, -6.1], "e2m1", 1.0) == [1, 0, 3, 0]
    assert gradients([12.0, 12.3], "e2m1", 2.0, encoding="activation") == [1, 0]


def test_gradients_of_a_product_by_hand() -> None:
    """y = q(w) x: dy/dw = x where w is within, dy/dx = q(w). int2 holds -2 to 1; q(0.8) = 1, q(3) = 1."""
    weights = torch.tensor([0.8, 3.0, -0.6], requires_grad=True)
    inputs = torch.tensor([5.0, 7.0, 11.0], requires_grad=True)
    (fake_quantize(weights, "int2") * inputs).sum().backward()
    assert weights.grad is not None
    assert inputs.grad is not None
    assert weights.grad.tolist() == [5.0, 0.0, 11.0]
    assert inputs.grad.tolist() == [1.0, 1.0, -1.0]


def test_gradients_of_channels_by_hand() -> None:
    values = torch.tensor([[1.6, 1.4], [1.6, 3.1]], requires_grad=True)
    fake_quantize(values, "int3", torch.tensor([0.5, 1.0]), axis=0).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_a_module_keeps_its_scale_in_the_state() -> None:
    first = FakeQuantize("int4", torch.tensor([0.1, 0.2, 0.7]), axis=0)
    second = FakeQuantize("int4", torch.ones(3), axis=0)
    second.load_state_dict(first.state_dict())
    values = torch.randn(3, 8)
    assert_same(second(values), first(values))
    assert_same(copy.deepcopy(first)(values), first(values))
    assert list(first.state_dict()) == ["scale", "_extra_state"]
    assert bytes(first.state_dict()["_extra_state"].tolist()) == b"int4"
    with pytest.raises(UserError, match=r"of another format \(got 'int4'\); allowed: int8"):
        FakeQuantize("int8", torch.ones(3), axis=0).load_state_dict(first.state_dict())
    assert "int4, scale=[3], axis=0" in repr(first)


def test_a_module_that_is_not_enabled_hands_values_on() -> None:
    module = FakeQuantize("int2")
    module.enabled = False
    values = torch.randn(5)
    assert module(values) is values


def test_compiled_modules_have_the_same_values_and_gradients() -> None:
    """`fullgraph`: nothing of it falls out of the compiled graph. The backend needs no C compiler."""
    module = torch.nn.Sequential(torch.nn.Linear(6, 4), FakeQuantize("e3m2", 0.05), torch.nn.ReLU())
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    values = torch.randn(5, 6)
    found, expected = compiled(values), module(values)
    assert_same(found.detach(), expected.detach())
    found.sum().backward()
    of_compiled = [parameter.grad.clone() for parameter in module.parameters()]
    module.zero_grad()
    expected.sum().backward()
    for one, other in zip(of_compiled, module.parameters(), strict=True):
        assert_same(one, other.grad)
        assert float(other.grad.abs().sum()) > 0


@pytest.mark.parametrize(
    ("arguments", "choices", "message"),
    [
        (("e4n3",), {}, "did you mean 'e4m3"),
        (("int8", 0.0), {}, "scale: is not positive and finite"),
        (("int8", math.nan), {}, "not calibrated"),
        (("int8", -1.0), {}, "scale: is not positive and finite"),
        (
            ("int8", torch.ones(3)),
            {},
            "scales do not fit the tensor (got 'scales [3] along axis None of [2, 4]')",
        ),
        (("int8", torch.ones(3)), {"axis": 0}, "scales do not fit the tensor"),
        (("int8", torch.ones(2)), {"axis": 2}, "scales do not fit the tensor"),
        (("int8", torch.ones(2)), {"axis": "0"}, "along axis 0 of [2, 4]"),
        (("int8", torch.ones(2, 1)), {"axis": 0}, "scales [2, 1] along axis 0 of [2, 4]"),
        (("int8", torch.ones(0)), {"axis": 0}, "scales [0] along axis 0 of [2, 4]"),
        (("int8", math.inf), {}, "scale: is not positive and finite"),
        (("int8", "0.5"), {}, "scale: scales are real numbers (got '0.5')"),
        (("int8", None), {}, "scale: scales are real numbers (got None)"),
        (("int8", 1j), {}, "scale: scales are real numbers (got 1j)"),
        (("int8", torch.ones((), device="meta")), {}, "scale: scales have no values on the device meta"),
        (("int8",), {"outside": "clib"}, "did you mean 'clip'?"),
        (("int8",), {"encoding": "weights"}, "did you mean 'weight'?"),
    ],
)
def test_mistakes_are_named(arguments: Any, choices: Any, message: str) -> None:
    with pytest.raises(UserError) as raised:
        fake_quantize(torch.zeros(2, 4), *arguments, **choices)
    assert message in str(raised.value)


def test_integers_are_refused() -> None:
    with pytest.raises(UserError, match=r"floating-point numbers \(got 'torch.int64'\)"):
        fake_quantize(torch.arange(3), "int8")


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(UserError, match=r"values to round are a tensor \(got 'ndarray'\)"):
        fake_quantize(np.ones(3), "int8")


@pytest.mark.parametrize(
    ("dtype", "fraction_bits"), [(torch.float16, 10), (torch.bfloat16, 7), (torch.float8_e4m3fn, 3)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_results_are_rounded_once(dtype: Any, fraction_bits: int, sign: int) -> None:
    """1 times a scale by 2^-30 above, on or below a tie between 1 and 1 + 2^-f; float32 has the tie alone."""
    step = 2.0**-fraction_bits
    for off, expected in ((2.0**-30, 1 + step), (0.0, 1.0), (-(2.0**-30), 1.0)):
        rounded = fake_quantize(torch.full((1,), sign).to(dtype), "int8", 1 + step / 2 + off)
        assert rounded.double().tolist() == [sign * expected]
    for off, expected in ((2.0**-30, 1 + 2 * step), (0.0, 1 + 2 * step), (-(2.0**-30), 1 + step)):
        rounded = fake_quantize(torch.full((1,), sign).to(dtype), "int8", 1 + 1.5 * step + off)
        assert rounded.double().tolist() == [sign * expected]


def test_gradients_that_are_not_finite_do_not_pass_clipped_values() -> None:
    values = torch.tensor([300.0, math.nan, 5.0, 6.0], requires_grad=True)
    fake_quantize(values, "int8").backward(torch.tensor([math.inf, math.nan, 2.0, math.inf]))
    assert values.grad.tolist() == [0.0, 0.0, 2.0, math.inf]


def test_half_precisions_saturate_by_the_quotient_of_the_forward_pass() -> None:
    """127 / (127 / 127.2) is beyond int8's 127; bfloat16 has no number between 127 and 127.5."""
    values = torch.tensor([127.0, 126.0], dtype=torch.bfloat16, requires_grad=True)
    fake_quantize(values, "int8", 127 / 127.2, encoding="activation").sum().backward()
    assert values.grad.tolist() == [0.0, 1.0]


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr"])
def test_sparse_tensors_are_refused(layout: str) -> None:
    values = torch.eye(3).to_sparse(layout=getattr(torch, layout))
    with pytest.raises(UserError, match=rf"are a dense tensor \(got 'torch.{layout}'\)"):
        fake_quantize(values, "int8")


def test_tensors_without_values_keep_their_shape() -> None:
    found = fake_quantize(torch.zeros(2, 3, device="meta", dtype=torch.float16), "int8", 0.5)
    assert (found.shape, found.dtype, found.device.type) == ((2, 3), torch.float16, "meta")


VALUES = torch.tensor([[-2.1, -2.0, 0.3], [1.5, 1.6, 0.8]])
WITHIN = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
"""int3 at scale 0.5 holds -2 to 1.5."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # of PyTorch's own code
def test_gradients_of_functions_by_hand() -> None:
    """`torch.func` and forward mode give the gradient of the straight-through estimator, not zero."""

    def squares(values: Any) -> Any:
        return (fake_quantize(values, "int3", 0.5) ** 2).sum()

    # q = [[-2, -2, 0.5], [1.5, 1.5, 1]] (0.3 / 0.5 = 0.6 and 1.6 round to 1 and 2); d/dv = 2 q within.
    expected = 2 * torch.tensor([[-2.0, -2.0, 0.5], [1.5, 1.5, 1.0]]) * WITHIN
    assert torch.func.grad(squares)(VALUES).tolist() == expected.tolist()
    assert torch.func.vmap(torch.func.grad(squares))(VALUES).tolist() == expected.tolist()
    _, forward = torch.func.jvp(squares, (VALUES,), (torch.ones_like(VALUES),))
    assert float(forward) == float(expected.sum()) == 2 * (-2 + 0.5 + 1.5 + 1)
    jacobian = torch.func.jacrev(lambda row: fake_quantize(row, "int3", 0.5))(VALUES[0])
    assert jacobian.tolist() == torch.diag(WITHIN[0]).tolist()
    forward_jacobian = torch.func.jacfwd(lambda row: fake_quantize(row, "int3", 0.5))(VALUES[0])
    assert forward_jacobian.tolist() == jacobian.tolist()
    everywhere = torch.func.grad(lambda v: fake_quantize(v, "int3", 0.5, outside="pass").sum())
    assert everywhere(VALUES).tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("encoding", ["format", "activation", "weight"])
def test_batches_of_values_and_scales(axis: int | None, encoding: Any) -> None:
    """`vmap` over values, over scales and over both has the bits of one call after the other."""
    random = torch.Generator().manual_seed(0)
    values = torch.randn(4, 2, 3, generator=random)
    sizes = {None: (4,), 0: (4, 2), 1: (4, 3)}[axis]
    scales = torch.rand(sizes, generator=random) + 0.1

    def rounded(one: Any, scale: Any) -> Any:
        return fake_quantize(one, "e2m1", scale, axis=axis, encoding=encoding)

    for dims in ((0, 0), (0, None), (None, 0)):
        given = [each if dim == 0 else each[1] for each, dim in zip((values, scales), dims, strict=True)]
        found = torch.vmap(rounded, in_dims=dims)(*given)
        for row in range(4):
            one = rounded(values[row if dims[0] == 0 else 1], scales[row if dims[1] == 0 else 1])
            assert_same(found[row], one)
    behind = torch.vmap(rounded, in_dims=(2, -1), out_dims=2)(values.movedim(0, 2), scales.movedim(0, -1))
    assert_same(behind.movedim(2, 0), torch.vmap(rounded)(values, scales))


def test_second_derivatives_by_hand() -> None:
    """f = sum of q(v) squared: f' = 2 q(v), f'' = 2 where v is within."""
    values = VALUES.clone().requires_grad_()
    (first,) = torch.autograd.grad((fake_quantize(values, "int3", 0.5) ** 2).sum(), values, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), values)
    assert second.tolist() == (2 * WITHIN).tolist()
