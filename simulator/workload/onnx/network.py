"""A graph with sizes as a network: its products are layers, all else is work between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Literal

from simulator.foundation import UserError
from simulator.workload.layer import (
    Convolution,
    Layer,
    Network,
    PostOperation,
    PostOperationKind,
    convolution_layer,
    matrix_layer,
)
from simulator.workload.onnx.build import build_graph
from simulator.workload.onnx.builder import UnknownShapeError
from simulator.workload.onnx.file import read_source
from simulator.workload.onnx.fixed_batch import with_fixed_batch
from simulator.workload.onnx.fixed_inputs import with_values
from simulator.workload.onnx.graph import OWN_DOMAIN, Graph, Node, Shape, Source
from simulator.workload.onnx.names import is_product
from simulator.workload.onnx.operators import AFFINE, MOVES, SHAPE_QUERIES, post_operation
from simulator.workload.onnx.sizes import Sizes

Stage = Literal["raw", "affine", "done"]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Part of a tensor that one layer computed; `layer` is None for the network's own input."""

    layer: str | None
    elements: int


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor that depends on the network's input.

    `stage` is `raw` right after a layer, `affine` once that result was scaled or shifted, else `done`.
    """

    pieces: tuple[_Piece, ...]
    stage: Stage = "done"

    @property
    def elements(self) -> int:
        return sum(piece.elements for piece in self.pieces)

    def resized(self, elements: int) -> tuple[_Piece, ...]:
        """The same shares of a tensor of another size, rounded so that they sum to it."""
        total, end, resized = self.elements, 0, []
        start = 0
        for piece in self.pieces:
            end += piece.elements
            stop = end * elements // total if total else 0
            resized.append(_Piece(piece.layer, stop - start))
            start = stop
        return tuple(resized)


@dataclass(slots=True)
class _Importer:
    graph: Graph
    consumers: Counter[str]
    values: dict[str, _Value] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    unsupported: list[str] = field(default_factory=list)
    shapeless: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Walk the operators in the file's order, which ONNX defines to be an order of execution."""
        for tensor in self.graph.inputs:
            self.values[tensor.name] = _Value((_Piece(None, prod(self.graph.shapes[tensor.name])),))
        for index, node in enumerate(self.graph.nodes):
            data = [name for name in dict.fromkeys(node.inputs) if name in self.values]
            if node.is_standard and node.operator in SHAPE_QUERIES:
                continue
            try:
                self._visit(index, node, data)
            except UnknownShapeError as error:
                self.shapeless.append(f"{node.describe()}: {error}")
                self._pass_on(node, data)

    def _visit(self, index: int, node: Node, data: list[str]) -> None:
        own = node.is_standard or node.domain == OWN_DOMAIN
        if index in self.graph.refused:
            self._pass_on(node, data)
        elif is_product(node):
            self._compute(self.graph.layer_names[index], node)
        elif own and node.operator in MOVES:
            self._pass_on(node, data, self.values[data[0]].stage if len(data) == 1 else "done")
        elif kind := post_operation(node.operator, node.domain):
            self._post_operation(node, kind, data)
        else:
            self.unsupported.append(node.describe())
            self._pass_on(node, data)

    def _compute(self, name: str, node: Node) -> None:
        first, second = node.inputs[:2]
        name = name if node.step is None else f"{name}/step_{node.step}"
        if node.operator == "Conv":
            layer = convolution_layer(name, self._convolution(node))
            if second in self.values:
                layer = replace(layer, weights_are_activations=True)
        else:
            layer = product_layer(
                name,
                self._shape(first),
                self._shape(second),
                weights_are_activations=second in self.values,
            )
        reads = (piece for operand in (first, second) for piece in self._pieces(operand))
        layer = layer.connected(self._in_order(piece.layer for piece in reads), ())
        self.layers[name] = layer
        self.order.setdefault(name, len(self.order))
        if second not in self.values:
            self.weights[name] = self.graph.constants[second].stored
        # A product of two computed tensors has no weights that a following factor could fold into.
        stage: Stage = "done" if layer.weights_are_activations else "raw"
        if node.input(2):
            self._append(name, "bias", layer.ofmap_elements)
            stage = "affine"
        self._set_outputs(node, _Value((_Piece(name, layer.ofmap_elements),), stage))

    def _convolution(self, node: Node) -> Convolution:
        ifmap, weights = self._shape(node.inputs[0]), self._shape(node.inputs[1])
        top, left, bottom, right = node.get("pads")
        return Convolution(
            batch=ifmap[0],
            channels=ifmap[1],
            filters=weights[0],
            ifmap=(ifmap[2], ifmap[3]),
            kernel=(weights[2], weights[3]),
            stride=node.get("strides"),
            padding=(top, left, bottom, right),
            dilation=node.get("dilations"),
            groups=node.get("group"),
        )

    def _post_operation(self, node: Node, kind: PostOperationKind, data: list[str]) -> None:
        if not data:
            self._pass_on(node, data)
            return
        value = self.values[data[0]]
        if len(data) > 1:
            self._join(node, kind, data)
        elif node.operator in AFFINE:
            if value.stage == "raw":
                self._append(value.pieces[0].layer, "bias", value.elements)
            elif value.stage == "done":
                for piece in value.pieces:
                    self._append(piece.layer, "other", piece.elements)
            self._pass_on(node, data, stage="affine")
        else:
            for piece in value.pieces:
                self._append(piece.layer, kind, piece.elements)
            # A sum of overlapping blocks is linear: a factor and an offset behind it fold into its products.
            self._pass_on(node, data, stage=value.stage if node.operator == "Col2Im" else "done")

    def _join(self, node: Node, kind: PostOperationKind, data: list[str]) -> None:
        """An operation on several computed tensors: work of the layer that comes last among theirs."""
        pieces = [piece for name in data for piece in self.values[name].pieces]
        layers = self._in_order(piece.layer for piece in pieces)
        elements = self._elements(node.outputs[0])
        if elements is None:
            elements = max(self.values[name].elements for name in data)
        if layers:
            for _ in data[1:]:
                self._append(layers[-1], kind, elements, inputs=layers[:-1])
        self._set_outputs(node, _Value((_Piece(layers[-1] if layers else None, elements),)))

    def _pass_on(self, node: Node, data: list[str], stage: Stage = "done") -> None:
        pieces = tuple(piece for name in data for piece in self.values[name].pieces)
        if not pieces:  # made of chance, or of nothing that is known: data like the network's input
            pieces = (_Piece(None, 1),)
        self._set_outputs(node, _Value(pieces, stage))

    def _set_outputs(self, node: Node, value: _Value) -> None:
        for name in filter(None, node.outputs):
            elements = self._elements(name)
            pieces = value.pieces if elements is None else value.resized(elements)
            branches = self.consumers[name] > 1
            self.values[name] = _Value(pieces, "done" if branches else value.stage)

    def _append(
        self, name: str | None, kind: PostOperationKind, elements: int, inputs: tuple[str, ...] = ()
    ) -> None:
        """Add a post operation to a layer; one of the same kind and inputs grows instead."""
        if name is None or not elements:
            return
        layer = self.layers[name]
        posts = {(post.kind, post.inputs): post.elements for post in layer.post_operations}
        posts[kind, inputs] = posts.get((kind, inputs), 0) + elements
        merged = tuple(PostOperation(kind, count, inputs) for (kind, inputs), count in posts.items())
        self.layers[name] = layer.connected(layer.inputs, merged)

    def with_shared_weights(self) -> tuple[Layer, ...]:
        """The layers; those whose weights are one tensor of the file name it."""
        layers_of = Counter(self.weights.values())
        shared = {layer: tensor for layer, tensor in self.weights.items() if layers_of[tensor] > 1}
        return tuple(replace(layer, weights=shared.get(name, "")) for name, layer in self.layers.items())

    def _in_order(self, names: Iterable[str | None]) -> tuple[str, ...]:
        """Distinct layer names in execution order."""
        wanted = {name for name in names if name is not None}
        return tuple(sorted(wanted, key=self.order.__getitem__))

    def _pieces(self, name: str) -> tuple[_Piece, ...]:
        return self.values[name].pieces if name in self.values else ()

    def _elements(self, name: str) -> int | None:
        shape = self.graph.shapes.get(name)
        return None if shape is None else prod(shape)

    def _shape(self, name: str) -> Shape:
        if name in self.graph.constants:
            return self.graph.constants[name].shape
        shape = self.graph.shapes.get(name)
        if shape is None:
            raise UnknownShapeError(f"shape of {name!r} is unknown")
        return shape


def read_onnx(path: Path, *, skip_unsupported: bool = False, sizes: Sizes | None = None) -> Network:
    """The network in an ONNX file. Weights are not read.

    Convolutions and matrix products become layers. Operators without multiply-accumulates become post
    operations of the layer whose result they work on, or edges; work on the network's own input is dropped.
    With `skip_unsupported`, everything else is left out and listed in `Network.skipped_operators`.

    Args:
        path: the file.
        skip_unsupported: leave out what cannot be simulated.
        sizes: of the inputs, where the file leaves them open; else the batch alone may be open, and is 1.

    Raises:
        UserError: unreadable, not ONNX, an input dimension other than the batch left open, shapes that do not
            fit, or (all listed) operators that cannot be simulated.
    """
    return network_of(
        read_source(path), f"ONNX file {path.name}", skip_unsupported=skip_unsupported, sizes=sizes
    )


def network_of(
    source: Source, origin: str, *, skip_unsupported: bool = False, sizes: Sizes | None = None
) -> Network:
    """As `read_onnx`, of what was read already; `origin` says in the result where it came from."""
    path = source.path
    given = sizes or Sizes()
    source, left = with_values(source, given)
    settled = with_fixed_batch(source, left)
    graph = build_graph(source, settled)
    importer = _Importer(graph, Counter(name for node in graph.nodes for name in node.inputs))
    try:
        importer.run()
    except UserError as error:
        raise error if error.source == path else UserError(str(error), source=path) from error
    unsupported = [*graph.unsupported, *importer.unsupported]
    shapeless = [*graph.shapeless, *importer.shapeless]
    if unsupported and not skip_unsupported:
        raise UserError(
            f"has operators that cannot be simulated: {_listed(unsupported)}",
            source=path,
            allowed="operators of docs/onnx_operators.md; --skip-unsupported leaves these out",
        )
    if shapeless and not unsupported:
        raise UserError(f"shapes cannot be inferred: {_listed(shapeless)}", source=path)
    if not importer.layers:
        raise UserError("has no layers that an array can compute", source=path)
    return Network(
        graph.name,
        importer.with_shared_weights(),
        source=f"{origin}, {graph.batch_reason}{_as_given(given.values)};"
        f" {_coverage(unsupported + shapeless)}",
        batch=graph.batch,
        skipped_operators=tuple(unsupported + shapeless),
        notes=(*_notes(graph), *_batch_note(graph, is_found=settled is not left)),
    )


def _as_given(values: Mapping[str, float]) -> str:
    return "".join(f", input {name} = {value:g} as given" for name, value in values.items())


def _coverage(skipped: list[str]) -> str:
    """Which share of the file's multiply-accumulates the layers have."""
    if not skipped:
        return "100 % of its MACs are layers"
    return f"MACs of {len(skipped)} operators that were left out are unknown, all others are layers"


def _notes(graph: Graph) -> tuple[str, ...]:
    conflicts = tuple(f"sizes contradict each other: {text}" for text in graph.conflicts)
    return (*graph.notes, *conflicts, *folded_notes(graph.folded))


def _batch_note(graph: Graph, *, is_found: bool) -> tuple[str, ...]:
    if not is_found:
        return ()
    return (f"the batch is {graph.batch}: the file leaves it open at its inputs, and fixes it inside",)


def folded_notes(folded: Sequence[str]) -> tuple[str, ...]:
    """What a result says of products of constants: nothing where there are none."""
    if not folded:
        return ()
    told = "products of constants are computed once, before anything runs, and are not counted"
    return (f"{told}: {_listed(folded)}",)


def _listed(descriptions: Iterable[str], most: int = 12) -> str:
    """All operators by name, or once each with a count when there are many."""
    descriptions = list(descriptions)
    if len(descriptions) <= most:
        return ", ".join(descriptions)
    counts = Counter(description.split(" ")[0] for description in descriptions)
    return ", ".join(f"{count} x {operator}" for operator, count in counts.items())


def product_layer(name: str, first: Shape, second: Shape, *, weights_are_activations: bool) -> Layer:
    """The layer of a product in the form that `matrix_rules.py` writes; each right operand is one product."""
    products = prod(second[:-2])
    return matrix_layer(
        name,
        "matmul" if weights_are_activations or products > 1 else "fc",
        m=prod(first[:-1]) // products,
        n=second[-1],
        k=first[-1],
        products=products,
        weights_are_activations=weights_are_activations,
    )
