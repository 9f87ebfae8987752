"""One chunk of images through a network: once in float32, and in the formats of one plan or of several."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from simulator.inference.arithmetic import MacOutput, float32_product, mac_product
from simulator.inference.chunk_figures import Chunk
from simulator.inference.execute import execute_outputs
from simulator.inference.inputs import Feed
from simulator.inference.layer_products import Product
from simulator.inference.metrics import Deviation, deviation
from simulator.inference.model import Model
from simulator.inference.overflow_counts import SumsOutside
from simulator.inference.quantization import NetworkPlan
from simulator.numerics.array_types import Tensor

Observer = Callable[[Product, MacOutput], None]
"""Sees every layer's operands and accumulators, in execution order within a chunk of images."""


def run_chunk(
    model: Model,
    images: Feed,
    plan: NetworkPlan,
    observer: Observer | None = None,
    known: Mapping[str, Tensor] | None = None,
) -> Chunk:
    """One chunk through a planned network, in its formats and, unless its outputs are `known`, in float32."""
    reference = Float32Run(known, None) if known is not None else Float32Run.of(model, images)
    return _in_formats(model, images, plan, reference, observer)


def run_chunk_of_plans(model: Model, images: Feed, plans: Sequence[NetworkPlan]) -> list[Chunk]:
    """One chunk through a network in the formats of each plan, and once in float32; chunks as `run_chunk`."""
    reference = Float32Run.of(model, images)
    last = len(plans) - 1
    return [
        _in_formats(model, images, plan, reference if place == last else reference.copy(), None)
        for place, plan in enumerate(plans)
    ]


@dataclass(frozen=True, slots=True)
class Float32Run:
    """A chunk's outputs in float32 by name, and by layer what its products gave, in the order of execution.

    Products leave `products` when they are compared. It is None where only outputs are known.
    """

    outputs: Mapping[str, Tensor]
    products: dict[str, deque[Tensor]] | None

    @classmethod
    def of(cls, model: Model, images: Feed) -> Float32Run:
        """Run a chunk in float32."""
        products: dict[str, deque[Tensor]] = {}

        def in_float32(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
            outputs = float32_product(product, activations, second)
            products.setdefault(product.name, deque()).append(outputs)
            return outputs

        return cls(execute_outputs(model, images, in_float32, model.outputs), products)

    def copy(self) -> Float32Run:
        """The same tensors, to be compared by another run."""
        assert self.products is not None
        return Float32Run(self.outputs, {name: deque(each) for name, each in self.products.items()})

    def next_of(self, product: Product) -> Tensor | None:
        """What a product gave, execution by execution; None where that is not known."""
        return None if self.products is None else self.products[product.name].popleft()


def _in_formats(
    model: Model, images: Feed, plan: NetworkPlan, reference: Float32Run, observer: Observer | None
) -> Chunk:
    """One chunk in a plan's formats, beside its run in float32."""
    deviations: dict[str, Deviation] = {}
    sums: dict[str, SumsOutside] = {}
    engines: dict[str, str] = {}

    def in_formats(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
        output = mac_product(product, plan.layers[product.name], activations, second)
        before = deviations.get(product.name, Deviation())
        seen = deviation(reference.next_of(product), output.values, output.operands)
        deviations[product.name] = before + seen
        mac = plan.layers[product.name].mac
        outside = SumsOutside.of_layer(mac, output)
        sums[product.name] = sums.get(product.name, SumsOutside()) + outside
        engines[product.name] = f"{output.sums.engine}: {output.sums.reason}"
        if observer is not None:
            observer(product, output)
        return output.values

    outputs = execute_outputs(model, images, in_formats, model.outputs)
    return Chunk(len(images), images, outputs, reference.outputs, deviations, sums, engines)
