"""What is executed for inputs of one size: matrix products for the array, everything else in float32."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulator.foundation import UserError
from simulator.inference.batch_norm_folding import fold
from simulator.inference.layer_products import Product, product_of
from simulator.workload.onnx import Constant, Graph, Node, Sizes, Source, build_graph
from simulator.workload.onnx.evaluate import evaluator_of
from simulator.workload.onnx.evaluator import Evaluator

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """One step of a network: either a matrix product for the array, or anything else, in float32.

    `node` is what it was made from, where it is no product.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    product: Product | None = None
    evaluate: Evaluator | None = None
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """A network for inputs of one size: operators in execution order, and the constants that they read."""

    operators: tuple[Operator, ...]
    constants: Mapping[str, Constant]
    batch: int
    batch_axes: Mapping[str, int]
    shapes: Mapping[str, Shape]
    folded: tuple[str, ...]

    @property
    def in_float32(self) -> Mapping[str, int]:
        """How often each kind of operator runs outside the array, in float32."""
        return Counter(operator.kind for operator in self.operators if operator.product is None)


def program_of(source: Source, sizes: Sizes, products: dict[str, Product]) -> Program:
    """The network for inputs of some sizes; products are made once and kept in `products`.

    Raises:
        UserError: sizes that do not fit, or operators that cannot be executed, all named.
    """
    graph = build_graph(source, sizes)
    spoken_for = {*graph.layer_names, *graph.refused}
    others = [node for index, node in enumerate(graph.nodes) if index not in spoken_for]
    problems = [*graph.unsupported, *(node.describe() for node in others if evaluator_of(node) is None)]
    problems = problems or list(graph.shapeless)
    if problems:
        raise UserError(
            f"has operators that cannot be executed: {', '.join(problems)}",
            source=source.path,
            allowed="operators of docs/onnx_operators.md",
        )
    graph = fold(graph)
    return Program(
        _operators(graph, products),
        graph.constants,
        graph.batch,
        graph.batch_axes,
        graph.shapes,
        graph.folded,
    )


def _operators(graph: Graph, products: dict[str, Product]) -> tuple[Operator, ...]:
    """Every node of a graph as a step; products are made once and kept in `products`."""
    steps = Counter(graph.layer_names.values())
    operators = []
    for index, node in enumerate(graph.nodes):
        operator = Operator(node.name or node.output(0), node.operator, node.inputs, node.outputs)
        name = graph.layer_names.get(index)
        if name is None:
            operators.append(replace(operator, evaluate=evaluator_of(node), node=node))
            continue
        if name not in products:
            products[name] = _product(name, node, graph, None if node.step is None else steps[name])
        operators.append(replace(operator, name=name, product=products[name]))
    return tuple(operators)


def _product(name: str, node: Node, graph: Graph, steps: int | None) -> Product:
    second = graph.shapes.get(node.inputs[1], ())
    if node.operator == "Conv" and second:
        node = replace(node, attributes={**node.attributes, "filters": second[0]})
    return product_of(name, node, graph.constants, graph.path, rank=len(second), steps=steps)
