"""Values rounded to a number format inside PyTorch, bit by bit as the formats do, with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.quantization import to_codes
from simulator.numerics.formats import Format, get_format

Outside = Literal["clip", "pass"]
"""Gradients of values beyond the format's largest or lowest: zero, or as if they were within."""

Encoding = Literal["format", "weight", "activation"]
"""How values are divided by the scale and encoded.

`format`: divided in float64 and encoded as the format defines. `weight` and `activation`: as `infer` encodes
weights (the same, but infinities that a converter makes of tiny values are zero) and activations (also
multiplied by the scale's reciprocal in float32 instead).
"""

_OP: Final = "systolic::fake_quantize"


def fake_quantize(
    values: torch.Tensor,
    fmt: str | Format,
    scale: float | torch.Tensor | NDArray[Any] = 1.0,
    *,
    axis: int | None = None,
    encoding: Encoding = "format",
    outside: Outside = "clip",
) -> torch.Tensor:
    """`decode(encode(values / scale)) * scale` with the arithmetic of a number format.

    NaN, infinities, minus zero, subnormals, ties and overflow become what the format says (docs/formats.md).
    The product with the scale is in float64 and is rounded once, to the dtype of `values`. Tensors on other
    devices move through the CPU and back.

    The gradient is straight through: that of the result, as if nothing had been rounded. With `clip` it is
    zero where a value divided by its scale is beyond the format's largest or lowest value, or is NaN. The
    scale has no gradient.

    Args:
        values: floating-point tensor of any shape.
        fmt: a format, or its spec, of any family that `get_format` knows.
        scale: of the whole tensor, or one for each index along `axis`; positive and finite.
        axis: of the scales where there are several.
        encoding: see `Encoding`.
        outside: see `Outside`.

    Raises:
        UserError: an unknown format or choice, scales that are not positive or do not fit, or values that are
            not floating-point numbers.
    """
    chosen = get_format(fmt)
    _require(encoding, Encoding, "encoding")
    _require(outside, Outside, "outside")
    if not isinstance(values, torch.Tensor):
        raise UserError("values to round are a tensor", value=type(values).__name__, allowed="torch.Tensor")
    if not values.is_floating_point():
        raise UserError("values to round are floating-point numbers", value=str(values.dtype))
    scales = torch.as_tensor(scale, dtype=torch.float64, device=values.device)
    rounded: torch.Tensor = _rounding(
        values, _along(scales, values.dim(), values.shape, axis), chosen.spec, encoding, outside
    )
    return rounded


class FakeQuantize(torch.nn.Module):
    """`fake_quantize` as a module; its scale is a buffer, so that `state_dict` and `to` take it along.

    Args:
        fmt: the number format, or its spec.

    Attributes:
        format: the number format.
        scale: float64, one element or one for each index along `axis`; NaN before it is calibrated.
        axis: of the scales where there are several.
        encoding: see `Encoding`.
        outside: see `Outside`.
        enabled: False hands values on as they are, as calibration does.
    """

    scale: torch.Tensor

    def __init__(
        self,
        fmt: str | Format,
        scale: float | torch.Tensor | NDArray[Any] = 1.0,
        *,
        axis: int | None = None,
        encoding: Encoding = "format",
        outside: Outside = "clip",
    ) -> None:
        super().__init__()
        _require(encoding, Encoding, "encoding")
        _require(outside, Outside, "outside")
        self.format = get_format(fmt)
        self.axis = axis
        self.encoding: Encoding = encoding
        self.outside: Outside = outside
        self.enabled = True
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64).clone())

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values as the format has them; see `fake_quantize`.

        Args:
            values: floating-point tensor of any shape.
        """
        if not self.enabled:
            return values
        return fake_quantize(
            values,
            self.format,
            self.scale,
            axis=self.axis,
            encoding=self.encoding,
            outside=self.outside,
        )

    def extra_repr(self) -> str:
        """The settings, for `print`."""
        one = f"{float(self.scale):.6g}" if self.scale.numel() == 1 else f"[{self.scale.numel()}]"
        return f"{self.format.spec}, scale={one}, axis={self.axis}, {self.encoding}, outside={self.outside}"


def exported_as_identity() -> dict[Callable[..., Any], Callable[..., Any]]:
    """How `torch.onnx.export` is to write fake quantization: values as they are."""
    from onnxscript import opset18 as op

    def identity(values: Any, scale: Any, spec: str, encoding: str, outside: str) -> Any:  # noqa: ARG001
        return op.Identity(values)

    return {torch.ops.systolic.fake_quantize.default: identity}


def _require(choice: str, choices: Any, what: str) -> None:
    names = get_args(choices)
    if choice not in names:
        raise UserError("unknown choice", location=what, value=choice, candidates=names)


def _along(
    scales: torch.Tensor, dimensions: int, shape: torch.Size | tuple[int, ...], axis: int | None
) -> torch.Tensor:
    """Scales in a shape that broadcasts over a tensor."""
    if scales.numel() == 1:
        return scales.reshape(())
    if axis is None or not -dimensions <= axis < dimensions or scales.numel() != shape[axis]:
        raise UserError(
            "scales do not fit the tensor",
            location="scale",
            value=f"{scales.numel()} scales along axis {axis} of {list(shape)}",
            allowed="one, or one for each index along axis",
        )
    return scales.reshape([-1 if index == axis % dimensions else 1 for index in range(dimensions)])


@torch.library.custom_op(
    _OP,
    mutates_args=(),
    schema="(Tensor values, Tensor scale, str spec, str encoding, str outside) -> Tensor",
)
def _rounding(
    values: torch.Tensor,
    scale: torch.Tensor,
    spec: str,
    encoding: str,
    outside: str,  # noqa: ARG001 - for the gradient
) -> torch.Tensor:
    """An operator of PyTorch's own kind, which `torch.compile` calls and does not look into."""
    precise = values.detach().cpu()
    if precise.dtype not in (torch.float32, torch.float64):
        precise = precise.float()
    real: NDArray[Any] = round_to_format(
        precise.numpy(), get_format(spec), scale.detach().cpu().numpy(), encoding
    )
    if values.dtype not in (torch.float32, torch.float64):
        real = _to_odd(real)
    return torch.from_numpy(real).to(device=values.device, dtype=values.dtype)


def _to_odd(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Float32 whose last bit is set wherever it is not exact, so that rounding it further rounds once.

    PyTorch converts float64 to half precisions by way of float32 rounded to nearest, which rounds twice.
    """
    with np.errstate(over="ignore", under="ignore"):
        near = values.astype(np.float32)
    bits = near.view(np.uint32)
    inexact = (near != values) & ~np.isnan(values)
    bits = np.where(inexact, (bits - (np.abs(near) > np.abs(values))) | 1, bits)
    return np.asarray(bits, np.uint32).view(np.float32)


def round_to_format(
    values: NDArray[Any], fmt: Format, scale: NDArray[np.float64], encoding: str
) -> NDArray[np.float64]:
    """See `fake_quantize`; of arrays, and in float64. Raises UserError: scales that are not positive."""
    usable = np.isfinite(scale) & (scale > 0)
    if not usable.all():
        raise UserError(
            "is not positive and finite: activations are not calibrated, or nothing was loaded",
            location="scale",
            value=float(scale[~usable][0]),
        )
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if encoding == "activation":
            scaled = values * np.asarray(1.0 / scale, np.float32)
        else:
            scaled = values.astype(np.float64) / scale
        codes = fmt.encode(scaled) if encoding == "format" else to_codes(scaled, fmt)
        return np.asarray(fmt.decode(codes) * scale)


@_rounding.register_fake
def _shape(
    values: torch.Tensor, scale: torch.Tensor, spec: str, encoding: str, outside: str
) -> torch.Tensor:  # signature of the operator
    del scale, spec, encoding, outside
    return torch.empty_like(values, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    values, scale, spec, encoding, outside = inputs
    del output
    ctx.spec, ctx.encoding, ctx.outside = spec, encoding, outside
    if outside == "clip":
        ctx.save_for_backward(values, scale)


def _straight_through(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    if ctx.outside == "pass":
        return gradient, None, None, None, None
    values, scale = ctx.saved_tensors
    fmt = get_format(ctx.spec)
    if ctx.encoding == "activation":
        precise = values if values.dtype == torch.float64 else values.float()
        scaled = precise * (1.0 / scale).to(torch.float32)
    else:
        scaled = values.to(torch.float64) / scale
    within = (scaled >= fmt.lowest) & (scaled <= fmt.largest)
    return gradient.masked_fill(~within, 0), None, None, None, None


_rounding.register_autograd(_straight_through, setup_context=_keep)
