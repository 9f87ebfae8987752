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
    scale has no gradient. Gradients in forward mode are the same, and so are those of `torch.func`.

    Args:
        values: floating-point tensor of any shape.
        fmt: a format, or its spec, of any family that `get_format` knows.
        scale: of the whole tensor, or one for each index along `axis`; positive and finite.
        axis: of the scales where there are several.
        encoding: see `Encoding`.
        outside: see `Outside`.

    Raises:
        UserError: an unknown format or choice, scales that are not positive or do not fit, or values that are
            no dense tensor of floating-point numbers.
    """
    chosen = get_format(fmt)
    _require(encoding, Encoding, "encoding")
    _require(outside, Outside, "outside")
    if not isinstance(values, torch.Tensor):
        raise UserError("values to round are a tensor", value=type(values).__name__, allowed="torch.Tensor")
    if not values.is_floating_point():
        raise UserError("values to round are floating-point numbers", value=str(values.dtype))
    if values.is_nested or values.layout != torch.strided:
        kind = "nested tensor" if values.is_nested else str(values.layout)
        raise UserError("values to round are a dense tensor", value=kind, allowed="torch.strided")
    scales = _along(_scales(scale, values.device), values.dim(), values.shape, axis)
    # The compiler cannot look into functions with rules of their own for forward mode; the operator has
    # what it needs. Others take the function, because operators know neither forward mode nor `torch.func`.
    rounding = _rounding if torch.compiler.is_compiling() else _StraightThrough.apply
    rounded: torch.Tensor = rounding(values, scales, chosen.spec, encoding, outside)
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
        self.register_buffer("scale", _scales(scale, None).clone())

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

    def get_extra_state(self) -> torch.Tensor:
        """The format's spec in UTF-8, for `state_dict`: a scale belongs to one format."""
        return torch.tensor(list(self.format.spec.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Check the format of scales that are loaded with a `state_dict`.

        Args:
            state: what `get_extra_state` gave, uint8.

        Raises:
            UserError: the scales belong to another format.
        """
        spec = bytes(state.tolist()).decode(errors="replace")
        if spec != self.format.spec:
            raise UserError(
                "the scales in this state_dict are of another format", value=spec, allowed=self.format.spec
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


def _scales(scale: Any, device: torch.device | None) -> torch.Tensor:
    """Scales in float64 without a gradient. Raises UserError: they are no real numbers."""
    if isinstance(scale, torch.Tensor):
        usable = not scale.is_complex() and scale.layout == torch.strided
        if usable and scale.is_meta and device not in (None, scale.device):
            raise UserError("scales have no values on the device meta", location="scale")
        made = scale.detach() if usable else None
    else:
        array = np.asarray(scale)
        made = torch.from_numpy(array.astype(np.float64)) if array.dtype.kind in "buif" else None
    if made is None:
        raise UserError(
            "scales are real numbers", location="scale", value=scale, allowed="positive and finite numbers"
        )
    return made.to(dtype=torch.float64, device=device)


def _along(
    scales: torch.Tensor, dimensions: int, shape: torch.Size | tuple[int, ...], axis: int | None
) -> torch.Tensor:
    """Scales in a shape that broadcasts over a tensor."""
    if scales.numel() == 1:
        return scales.reshape(())
    fits = isinstance(axis, int) and -dimensions <= axis < dimensions and scales.dim() == 1
    if axis is None or not fits or scales.numel() != shape[axis]:
        raise UserError(
            "scales do not fit the tensor",
            location="scale",
            value=f"scales {list(scales.shape)} along axis {axis} of {list(shape)}",
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
    """The gradient where values are within the format's range, or everywhere."""
    if ctx.outside == "clip":
        values, scale = ctx.saved_tensors
        gradient = gradient.masked_fill(~_within(values, scale, get_format(ctx.spec), ctx.encoding), 0)
    return gradient, None, None, None, None


def _within(values: torch.Tensor, scale: torch.Tensor, fmt: Format, encoding: str) -> torch.Tensor:
    if encoding == "activation":
        precise = values if values.dtype == torch.float64 else values.float()
        scaled = precise * (1.0 / scale).to(torch.float32)
    else:
        scaled = values.to(torch.float64) / scale
    return (scaled >= fmt.lowest) & (scaled <= fmt.largest)


_rounding.register_autograd(_straight_through, setup_context=_keep)


class _StraightThrough(torch.autograd.Function):
    """The operator with gradients in both directions, and with `torch.func`."""

    @staticmethod
    def forward(values: torch.Tensor, scale: torch.Tensor, spec: str, encoding: str, outside: str) -> Any:
        return _rounding(values, scale, spec, encoding, outside)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        _keep(ctx, inputs, output)
        if ctx.outside == "clip":
            ctx.save_for_forward(*inputs[:2])

    backward = staticmethod(_straight_through)

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: Any) -> Any:
        return _straight_through(ctx, tangent)[0]

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], *inputs: Any) -> tuple[torch.Tensor, int]:
        """Rows of the batch in front; scales of each row lie along the same axes behind it."""
        values, scale, spec, encoding, outside = inputs
        values = (
            values.unsqueeze(0).expand(info.batch_size, *values.shape)
            if dims[0] is None
            else values.movedim(dims[0], 0)
        )
        if dims[1] is not None:
            scale = scale.movedim(dims[1], 0)
            scale = scale.reshape(info.batch_size, *[1] * (values.dim() - scale.dim()), *scale.shape[1:])
        return _StraightThrough.apply(values, scale, spec, encoding, outside), 0
