"""What one layer computes, as a convolution's geometry and as the matrix product that an array sees."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from simulator.foundation import UserError

LARGEST_LENGTH = 10**12
LARGEST_MACS = 10**17
"""Range of the simulator: every count of a layer within it fits whole numbers of 64 bits."""


LONGEST_NAME = 1000
"""Characters of a layer's name."""


class BeyondRangeError(UserError):
    """A layer that is too large to be counted."""


LayerKind = Literal["conv", "depthwise", "fc", "matmul"]
PostOperationKind = Literal["bias", "relu", "pool", "add", "other"]


@dataclass(frozen=True, slots=True)
class Convolution:
    """Geometry of a 2-D convolution; pairs are (height, width), padding is (top, left, bottom, right)."""

    batch: int
    channels: int
    filters: int
    ifmap: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        """Refuse geometries that no convolution has. Raises UserError."""
        positive = {
            "batch": (self.batch,),
            "channels": (self.channels,),
            "filters": (self.filters,),
            "ifmap": self.ifmap,
            "kernel": self.kernel,
            "stride": self.stride,
            "dilation": self.dilation,
            "groups": (self.groups,),
        }
        for name, values in positive.items():
            if min(values) < 1:
                raise UserError(
                    "must be positive", location=name, value=values if len(values) > 1 else values[0]
                )
        if min(self.padding) < 0:
            raise UserError("must not be negative", location="padding", value=self.padding)
        for name, value in (("channels", self.channels), ("filters", self.filters)):
            if value % self.groups:
                raise UserError(f"must be a multiple of groups = {self.groups}", location=name, value=value)
        if min(self._spare) < 0:
            raise UserError(
                f"is larger than the padded input {self._padded}", location="kernel", value=self.kernel
            )

    @property
    def _padded(self) -> tuple[int, int]:
        top, left, bottom, right = self.padding
        return self.ifmap[0] + top + bottom, self.ifmap[1] + left + right

    @property
    def _spare(self) -> tuple[int, int]:
        height, width = (
            size - dilation * (kernel - 1) - 1
            for size, kernel, dilation in zip(self._padded, self.kernel, self.dilation, strict=True)
        )
        return height, width

    @property
    def ofmap(self) -> tuple[int, int]:
        """Output height and width, rounded down as every framework does by default."""
        spare, stride = self._spare, self.stride
        return spare[0] // stride[0] + 1, spare[1] // stride[1] + 1


@dataclass(frozen=True, slots=True)
class PostOperation:
    """Work of the output path on a layer's results; `elements` counts the results it reads.

    `inputs` names the layers that give the other operand of an operation on two results, such as the
    shortcut of a residual addition.
    """

    kind: PostOperationKind
    elements: int
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as `groups` independent matrix products of shape M x K times K x (N / groups).

    M counts output pixels (batch included), N output channels over all groups, K the reduction length of
    one output: kernel height x kernel width x input channels / groups. A batched matrix product (attention
    heads) has one group a product. Always `macs == m * n * k`.

    `ifmap_elements` and `filter_elements` count what is stored, not what the lowering repeats.
    `inputs` names the layers whose results this one reads, as they are after their post operations; empty
    means the network's own input.
    `weights_are_activations` marks products of two computed tensors, whose second operand is no parameter.
    `weights` names the stored weights where several layers share one tensor; empty means weights of its own.
    It changes nothing of what the layer computes or moves, so it takes no part in comparisons.
    """

    name: str
    kind: LayerKind
    m: int
    n: int
    k: int
    groups: int = 1
    ifmap_elements: int = 0
    filter_elements: int = 0
    ofmap_elements: int = 0
    convolution: Convolution | None = None
    inputs: tuple[str, ...] = ()
    post_operations: tuple[PostOperation, ...] = ()
    weights_are_activations: bool = False
    weights: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuse empty products, over-long names and sizes beyond the simulator's range. Raises UserError."""
        if len(self.name) > LONGEST_NAME:
            raise UserError(
                "name is too long",
                location="layer",
                value=self.name,
                allowed=f"up to {LONGEST_NAME} characters",
            )
        for name in ("m", "n", "k", "groups"):
            if getattr(self, name) < 1:
                raise UserError("must be positive", location=f"{self.name}.{name}", value=getattr(self, name))
        if self.n % self.groups:
            raise UserError(
                f"must be a multiple of groups = {self.groups}", location=f"{self.name}.n", value=self.n
            )
        for name in ("m", "n", "k", "ifmap_elements", "filter_elements", "ofmap_elements"):
            self._check_range(name, getattr(self, name), LARGEST_LENGTH)
        for index, post in enumerate(self.post_operations):
            self._check_range(f"post_operations.{index}.elements", post.elements, LARGEST_LENGTH)
        self._check_range("macs", self.macs, LARGEST_MACS)

    def _check_range(self, name: str, value: int, largest: int) -> None:
        if not 0 <= value <= largest:
            raise BeyondRangeError(
                "is beyond the simulator's range",
                location=f"{self.name}.{name}",
                value=value,
                allowed=f"0 to {largest:,}" if value < 0 else f"at most {largest:,}",
            )

    @property
    def macs(self) -> int:
        """Multiply-accumulates, padding positions included, as the field counts them."""
        return self.m * self.n * self.k

    @property
    def n_per_group(self) -> int:
        """Output channels of one group's matrix product."""
        return self.n // self.groups

    def connected(self, inputs: tuple[str, ...], post_operations: tuple[PostOperation, ...]) -> Layer:
        """The same computation at a place in a graph: what it reads and what follows it."""
        return replace(self, inputs=inputs, post_operations=post_operations)

    @property
    def parameters(self) -> int:
        """Weights that training sets, biases left out; a product of two computed tensors has none."""
        return 0 if self.weights_are_activations else self.filter_elements


@dataclass(frozen=True, slots=True)
class Network:
    """Layers in execution order. `layer.inputs` gives the graph between them.

    `skipped_operators` lists what the file has and the network lacks; `notes` say in one sentence each what
    the importer assumed or ignored, and become warnings of every result. `variant` says which of the networks
    of that name this is, and `macs_source` what its multiply-accumulates were checked against; empty where
    nobody said.
    """

    name: str
    layers: tuple[Layer, ...]
    source: str = ""
    batch: int = 1
    skipped_operators: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    variant: str = ""
    macs_source: str = ""

    def __post_init__(self) -> None:
        """Refuse a network without layers, a name given twice, an input that is no earlier layer.

        Raises:
            UserError: any of these, naming the layer.
        """
        if not self.layers:
            raise UserError("has no layers that an array can compute", source=self.name)
        seen: set[str] = set()
        for layer in self.layers:
            if layer.name in seen:
                raise UserError("layer name is given twice", source=self.name, value=layer.name)
            for name in layer.inputs + tuple(name for post in layer.post_operations for name in post.inputs):
                if name not in seen:
                    raise UserError(
                        "is not an earlier layer",
                        source=self.name,
                        location=f"{layer.name}.inputs",
                        value=name,
                        allowed="names of layers that stand before this one",
                    )
            seen.add(layer.name)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference of the whole batch."""
        return sum(layer.macs for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Weights of all layers, biases left out; weights that layers share count once."""
        shared = {layer.weights: layer.parameters for layer in self.layers if layer.weights}
        return sum(shared.values()) + sum(layer.parameters for layer in self.layers if not layer.weights)


def convolution_layer(
    name: str,
    convolution: Convolution,
    *,
    inputs: tuple[str, ...] = (),
    post_operations: tuple[PostOperation, ...] = (),
) -> Layer:
    """The layer that computes a convolution; kind `depthwise` when every input channel is its own group."""
    height, width = convolution.ofmap
    pixels = convolution.batch * height * width
    channels_per_group = convolution.channels // convolution.groups
    k = convolution.kernel[0] * convolution.kernel[1] * channels_per_group
    depthwise = convolution.groups == convolution.channels and convolution.groups > 1
    return Layer(
        name=name,
        kind="depthwise" if depthwise else "conv",
        m=pixels,
        n=convolution.filters,
        k=k,
        groups=convolution.groups,
        ifmap_elements=convolution.batch * convolution.channels * convolution.ifmap[0] * convolution.ifmap[1],
        filter_elements=convolution.filters * k,
        ofmap_elements=pixels * convolution.filters,
        convolution=convolution,
        inputs=inputs,
        post_operations=post_operations,
    )


def matrix_layer(
    name: str,
    kind: Literal["fc", "matmul"],
    *,
    m: int,
    n: int,
    k: int,
    products: int = 1,
    weights_are_activations: bool = False,
    inputs: tuple[str, ...] = (),
    post_operations: tuple[PostOperation, ...] = (),
) -> Layer:
    """The layer that computes `products` independent M x K times K x N products, one group each."""
    return Layer(
        name=name,
        kind=kind,
        m=m,
        n=n * products,
        k=k,
        groups=products,
        ifmap_elements=m * k * products,
        filter_elements=k * n * products,
        ofmap_elements=m * n * products,
        inputs=inputs,
        post_operations=post_operations,
        weights_are_activations=weights_are_activations,
    )
