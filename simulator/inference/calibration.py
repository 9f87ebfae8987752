"""What the layers of a network see: their operands in float32 on calibration images, and means of results."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.arithmetic import float32_product
from simulator.inference.channel_sums import ChannelSums
from simulator.inference.chunks import chunks
from simulator.inference.distributions.distribution import Distribution, Spread
from simulator.inference.execute import execute
from simulator.inference.inputs import Feed
from simulator.inference.kept import Kept, KeptTensors
from simulator.inference.layer_products import Product
from simulator.inference.model import Model
from simulator.inference.quantization import encode
from simulator.numerics.array_types import Tensor
from simulator.numerics.engines.threads import available_cores, in_order
from simulator.numerics.formats import Format

Extent = Literal["values", "means", "distributions", "extremes"]
"""What is kept of tensors: all values in their places, all values in any order with the mean of each output
channel, all values in any order, or the smallest and the largest of each chunk of images.
"""

EXTENTS: tuple[Extent, ...] = ("values", "means", "distributions", "extremes")
"""Each holds what those behind it hold."""

Operand = Literal["activations", "second"]

_VALUES_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Observation:
    """One layer's float32 operands on all calibration images, or their extremes; sums of its results."""

    product: Product
    kept: dict[str, Kept]
    macs_per_image: int = 0
    spreads: dict[str, Spread] = field(default_factory=dict)
    """What was counted of tensors that are kept as distributions; `kept` has their other values."""
    output_sums: ChannelSums = field(default_factory=ChannelSums)
    """Of each output channel of a layer with weights, where values or means are kept."""
    scales: dict[Hashable, float] = field(default_factory=dict)
    """Scales of the activations that were found already, by what they were asked for."""

    @property
    def activations(self) -> Tensor:
        """The input tensor, images first; rows of operands where a layer has no images in front."""
        return self._whole("activations")

    @property
    def second(self) -> Tensor | None:
        """The computed right operand; None for a layer with weights."""
        return self._whole("second") if "second" in self.kept else None

    def distribution(self, role: Operand) -> Distribution:
        """All values of an operand, wherever they are."""
        if role in self.spreads:
            return self.spreads[role].distribution(*self.kept[role].pieces())
        return Distribution.of(self._whole(role))

    def extremes(self, role: Operand) -> Tensor:
        """Values of an operand, the smallest and the largest among them."""
        if role in self.spreads:
            return np.array(list(self.spreads[role].frequent))
        return self._whole(role)

    def _whole(self, role: str) -> Tensor:
        whole = self.kept[role].array()
        is_tensor = whole.ndim > 1 and role != "second"
        return np.moveaxis(whole, 0, self.product.input_axis) if is_tensor else whole


def calibrate(model: Model, images: Feed, *, extent: Extent = "values") -> Mapping[str, Observation]:
    """Every layer's operands, and sums of results, by layer name, from a float32 run.

    Tensors that do not fit into a budget of memory go to files in a temporary folder.

    Raises:
        UserError: a layer whose operands are NaN or infinite on these images.
    """
    kept = KeptTensors()
    run = in_order(
        chunks(model, images), lambda chunk: _observed(model, chunk, extent), threads=available_cores()
    )
    observed = {product.name: Observation(product, {}) for product in model.products}
    for seen in run:
        for (name, role), tensors in seen.tensors.items():
            for tensor in tensors:
                observed[name].kept[role] = kept.add((name, role), tensor)
        for (name, role), spread in seen.spreads.items():
            observed[name].spreads.setdefault(role, Spread()).add(spread)
        for name, outputs in seen.outputs:
            observed[name].output_sums.add(outputs, observed[name].product.channel_axis)
        for name, macs in seen.macs_per_image.items():
            observed[name] = replace(observed[name], macs_per_image=macs)
    return observed


@dataclass(slots=True)
class Calibrations:
    """What layers see of the same images, observed once for all plans that need it."""

    model: Model
    images: Feed
    by_extent: dict[Extent, Mapping[str, Observation]] = field(default_factory=dict)

    def with_extent(self, extent: Extent) -> Mapping[str, Observation]:
        """Observations of this extent, or of a larger one that was needed before. Raises as `calibrate`."""
        enough = EXTENTS[: EXTENTS.index(extent) + 1]
        known = next((self.by_extent[each] for each in enough if each in self.by_extent), None)
        if known is None:
            known = self.by_extent[extent] = calibrate(self.model, self.images, extent=extent)
            for earlier in self.by_extent.values():
                for name, seen in earlier.items():
                    known[name].scales.update(seen.scales)
        return known


@dataclass(frozen=True, slots=True)
class _Seen:
    """One chunk's tensors by layer and role, what was counted of them, outputs, and what layers cost."""

    tensors: dict[tuple[str, str], list[Tensor]] = field(default_factory=dict)
    spreads: dict[tuple[str, str], Spread] = field(default_factory=dict)
    outputs: list[tuple[str, Tensor]] = field(default_factory=list)
    macs_per_image: dict[str, int] = field(default_factory=dict)

    def keep(self, product: Product, role: str, tensor: Tensor, extent: Extent, images: int) -> None:
        """What `extent` says of one more tensor."""
        key = (product.name, role)
        if extent == "extremes":
            part = np.stack([tensor.min(), tensor.max()])
        elif extent == "values":
            part = _appendable(product, role, tensor, images)
        else:
            part = self.spreads.setdefault(key, Spread()).rest_of(tensor)
        self.tensors.setdefault(key, []).append(part)


def _observed(model: Model, images: Feed, extent: Extent) -> _Seen:
    seen = _Seen()

    def observe(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
        _require_finite(model, product, activations, second)
        outputs = float32_product(product, activations, second)
        tensors = {"activations": activations}
        if second is not None:
            tensors["second"] = second
        for role, each in tensors.items():
            seen.keep(product, role, each, extent, len(images))
        if extent in ("values", "means") and product.weights is not None:
            seen.outputs.append((product.name, outputs))
        macs = outputs.size * product.reduction(activations.shape)
        seen.macs_per_image[product.name] = seen.macs_per_image.get(product.name, 0) + macs // len(images)
        return outputs

    execute(model, images, observe)
    return seen


def _appendable(product: Product, role: str, tensor: Tensor, images: int) -> Tensor:
    """A tensor in a form whose first axis grows with further images, whatever their number in a chunk."""
    if product.input_axis and role != "second":
        return np.moveaxis(tensor, product.input_axis, 0)
    is_rows = product.window is None and product.weights is not None
    if is_rows and (product.steps is not None or len(tensor) != images):
        return tensor.reshape(-1, tensor.shape[-1])
    return tensor


def second_moments(product: Product, activations: Tensor, fmt: Format, scale: float) -> NDArray[np.float64]:
    """X^T X of a layer's rounded inputs, [groups, K, K], over every row of every calibration image.

    Args:
        product: the layer.
        activations: its float32 input tensor, images first.
        fmt: the format that the inputs are rounded to.
        scale: of the inputs.
    """
    zero = int(fmt.encode(np.zeros(1))[0])
    total: NDArray[np.float64] | None = None
    for part in _parts(product, activations):
        rows = fmt.decode(product.lower(encode(part, fmt, scale).codes, zero=zero)) * scale
        moments = moments_of_rows(rows)
        total = moments if total is None else total + moments
    assert total is not None
    return total


def moments_of_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """X^T X of rows [.., rows, K]: [.., K, K]."""
    return np.asarray(rows.swapaxes(-1, -2) @ rows)


def _parts(product: Product, activations: Tensor) -> Iterator[Tensor]:
    """The input tensor in parts whose lowered operands fit in memory."""
    if product.input_axis:
        yield np.ascontiguousarray(activations)
        return
    lowered = product.lower(np.ascontiguousarray(activations[:1])).size
    images = max(1, _VALUES_AT_ONCE // lowered)
    for start in range(0, len(activations), images):
        yield np.ascontiguousarray(activations[start : start + images])


def _require_finite(model: Model, product: Product, *operands: Tensor | None) -> None:
    for operand in operands:
        # NaN goes into the smallest and the largest value.
        if operand is not None and operand.size and not np.isfinite([operand.min(), operand.max()]).all():
            raise UserError(
                "operands are NaN or infinite on the calibration images in float32",
                source=model.path,
                location=product.name,
            )
