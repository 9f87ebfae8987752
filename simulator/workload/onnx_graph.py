"""ONNX files as networks: the graph and its shapes are enough, weights may be missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

from simulator.foundation import UserError
from simulator.workload.layer import (
    Convolution,
    Layer,
    Network,
    PostOperation,
    PostOperationKind,
    convolution_layer,
)
from simulator.workload.onnx_file import Graph, read_graph
from simulator.workload.onnx_operators import (
    AFFINE,
    CONVOLUTIONS,
    MOVES,
    POST_OPERATIONS,
    PRODUCTS,
    REARRANGEMENTS,
    SHAPE_QUERIES,
)
from simulator.workload.onnx_products import product_layer

Shape = tuple[int, ...]
Stage = Literal["raw", "affine", "done"]


class _UnknownShapeError(Exception):
    """A tensor's shape does not follow from the file."""


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
            stop = end * elements // total
            resized.append(_Piece(piece.layer, stop - start))
            start = stop
        return tuple(resized)


@dataclass(slots=True)
class _Importer:
    graph: Graph
    values: dict[str, _Value] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    unsupported: list[str] = field(default_factory=list)
    shapeless: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Walk the operators in the file's order, which ONNX defines to be an order of execution."""
        for name in self.graph.inputs:
            self.values[name] = _Value((_Piece(None, prod(self.graph.shapes[name])),))
        for index, node in enumerate(self.graph.nodes):
            data = [name for name in dict.fromkeys(node.input) if name in self.values]
            if not data and node.op_type in REARRANGEMENTS and node.input and node.output:
                self.stored[node.output[0]] = self._stored(node.input[0])
            if not data or node.op_type in SHAPE_QUERIES:
                continue
            try:
                self._visit(index, node, data)
            except _UnknownShapeError as error:
                self.shapeless.append(f"{_describe(node)}: {error}")
                self._pass_on(node, data)

    def _visit(self, index: int, node: Any, data: list[str]) -> None:
        standard = node.domain in ("", "ai.onnx")
        if standard and node.op_type in CONVOLUTIONS | PRODUCTS:
            self._compute(self.graph.layer_names[index], node)
        elif standard and node.op_type in MOVES:
            self._pass_on(node, data, self.values[data[0]].stage if len(data) == 1 else "done")
        elif standard and node.op_type in POST_OPERATIONS:
            self._post_operation(node, data)
        else:
            self.unsupported.append(_describe(node))
            self._pass_on(node, data)

    def _compute(self, name: str, node: Any) -> None:
        table = CONVOLUTIONS | PRODUCTS
        operands = table[node.op_type]
        if len(node.input) <= operands.second:
            raise UserError(
                f"{_describe(node)} needs two operands", source=self.graph.path, value=len(node.input)
            )
        first, second = node.input[operands.first], node.input[operands.second]
        if node.op_type in CONVOLUTIONS:
            convolution = self._convolution(node, self._shape(first), self._shape(second))
            if convolution is None:
                self.unsupported.append(f"{_describe(node)}: {len(self._shape(first)) - 2}-D")
                self._pass_on(node, [first])
                return
            layer = convolution_layer(name, convolution)
        else:
            computed = (first in self.values, second in self.values)
            layer = product_layer(name, node, self._shape(first), self._shape(second), computed)
        reads = (piece for operand in (first, second) for piece in self._pieces(operand))
        layer = layer.connected(self._in_order(piece.layer for piece in reads), ())
        self.layers[name] = layer
        weights = first if second in self.values else second
        if weights not in self.values:
            self.weights[name] = self._stored(weights)
        # A product of two computed tensors has no weights that a following factor could fold into.
        stage: Stage = "done" if layer.weights_are_activations else "raw"
        if operands.bias is not None and len(node.input) > operands.bias and node.input[operands.bias]:
            self._append(name, "bias", layer.ofmap_elements)
            stage = "affine"
        self._set_outputs(node, _Value((_Piece(name, layer.ofmap_elements),), stage))

    def _convolution(self, node: Any, ifmap: Shape, weights: Shape) -> Convolution | None:
        """Geometry of a 1-D (as one row) or 2-D convolution; None when it has more dimensions."""
        dimensions = len(ifmap) - 2
        if dimensions not in (1, 2) or len(weights) != len(ifmap):
            return None
        attributes = self.graph.attributes(node)
        kernel = weights[2:]
        stride = attributes.get("strides", (1,) * dimensions)
        dilation = attributes.get("dilations", (1,) * dimensions)
        groups = attributes.get("group", 1)
        if ifmap[1] != weights[1] * groups or attributes.get("kernel_shape", kernel) != kernel:
            raise UserError(
                f"{_describe(node)}: weights {weights} in {groups} groups do not fit input {ifmap}",
                source=self.graph.path,
            )
        if len(stride) != dimensions or len(dilation) != dimensions:
            raise UserError(
                f"{_describe(node)}: strides and dilations need {dimensions} numbers each",
                source=self.graph.path,
            )
        begin, end = _padding(attributes, ifmap[2:], kernel, stride, dilation)
        flat = dimensions == 1
        return Convolution(
            batch=ifmap[0],
            channels=ifmap[1],
            filters=weights[0],
            ifmap=_height_width(ifmap[2:], 1),
            kernel=_height_width(kernel, 1),
            stride=_height_width(stride, 1),
            padding=(0, begin[0], 0, end[0]) if flat else (begin[0], begin[1], end[0], end[1]),
            dilation=_height_width(dilation, 1),
            groups=groups,
        )

    def _post_operation(self, node: Any, data: list[str]) -> None:
        value = self.values[data[0]]
        kind = POST_OPERATIONS[node.op_type]
        if len(data) > 1:
            self._join(node, kind, data)
        elif node.op_type in AFFINE:
            if value.stage == "raw":
                self._append(value.pieces[0].layer, "bias", value.elements)
            elif value.stage == "done":
                for piece in value.pieces:
                    self._append(piece.layer, "other", piece.elements)
            self._pass_on(node, data, stage="affine")
        else:
            for piece in value.pieces:
                self._append(piece.layer, kind, piece.elements)
            self._pass_on(node, data)

    def _join(self, node: Any, kind: PostOperationKind, data: list[str]) -> None:
        """An operation on several computed tensors: work of the layer that comes last among theirs."""
        pieces = [piece for name in data for piece in self.values[name].pieces]
        layers = self._in_order(piece.layer for piece in pieces)
        elements = self._elements(node.output[0])
        if elements is None:
            elements = max(self.values[name].elements for name in data)
        if layers:
            for _ in data[1:]:
                self._append(layers[-1], kind, elements, inputs=layers[:-1])
        self._set_outputs(node, _Value((_Piece(layers[-1] if layers else None, elements),)))

    def _pass_on(self, node: Any, data: list[str], stage: Stage = "done") -> None:
        pieces = tuple(piece for name in data for piece in self.values[name].pieces)
        self._set_outputs(node, _Value(pieces, stage))

    def _set_outputs(self, node: Any, value: _Value) -> None:
        for name in filter(None, node.output):
            elements = self._elements(name)
            pieces = value.pieces if elements is None else value.resized(elements)
            branches = self.graph.consumers[name] > 1
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

    def _stored(self, tensor: str) -> str:
        """The tensor of the file whose elements a tensor that is no data holds, in whatever order."""
        return self.stored.get(tensor, tensor)

    def with_shared_weights(self) -> tuple[Layer, ...]:
        """The layers; those whose weights are one tensor of the file name it."""
        layers_of = Counter(self.weights.values())
        shared = {layer: tensor for layer, tensor in self.weights.items() if layers_of[tensor] > 1}
        return tuple(replace(layer, weights=shared.get(name, "")) for name, layer in self.layers.items())

    def _in_order(self, names: Iterable[str | None]) -> tuple[str, ...]:
        """Distinct layer names in execution order."""
        wanted = set(names)
        return tuple(name for name in self.layers if name in wanted)

    def _pieces(self, name: str) -> tuple[_Piece, ...]:
        return self.values[name].pieces if name in self.values else ()

    def _elements(self, name: str) -> int | None:
        shape = self.graph.shapes.get(name)
        return None if shape is None else prod(shape)

    def _shape(self, name: str) -> Shape:
        shape = self.graph.shapes.get(name)
        if shape is None:
            raise _UnknownShapeError(f"shape of {name!r} is unknown")
        return shape


def read_onnx(path: Path, *, skip_unsupported: bool = False) -> Network:
    """The network in an ONNX file, with the batch that its first input has (1 where it is left open).

    Convolutions and matrix products become layers. Operators without multiply-accumulates become post
    operations of the layer whose result they work on, or edges; work on the network's own input is dropped.
    With `skip_unsupported`, everything else is left out and listed in `Network.skipped_operators`.

    Raises:
        UserError: unreadable, not ONNX, an input dimension other than the batch left open, shapes that do not
            fit, or (all listed) operators that cannot be simulated.
    """
    graph = read_graph(path)
    importer = _Importer(graph)
    try:
        importer.run()
    except UserError as error:
        raise error if error.source == path else UserError(str(error), source=path) from error
    if importer.unsupported and not skip_unsupported:
        raise UserError(
            f"has operators that cannot be simulated: {_listed(importer.unsupported)}",
            source=path,
            allowed="convolutions, matrix products and operators without multiply-accumulates; "
            "--skip-unsupported leaves these out",
        )
    if importer.shapeless and not importer.unsupported:
        raise UserError(f"shapes cannot be inferred: {_listed(importer.shapeless)}", source=path)
    skipped = tuple(importer.unsupported + importer.shapeless)
    return Network(
        graph.name,
        importer.with_shared_weights(),
        source=f"ONNX file {path.name}",
        batch=graph.batch,
        skipped_operators=skipped,
    )


def _describe(node: Any) -> str:
    operator = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    label = node.name or next(iter(filter(None, node.output)), "")
    return f"{operator} ({label})" if label else operator


def _listed(descriptions: list[str], most: int = 12) -> str:
    """All operators by name, or once each with a count when there are many."""
    if len(descriptions) <= most:
        return ", ".join(descriptions)
    counts = Counter(description.split(" ")[0] for description in descriptions)
    return ", ".join(f"{count} x {operator}" for operator, count in counts.items())


def _height_width(sizes: Iterable[int], missing: int) -> tuple[int, int]:
    *height, width = sizes
    return (height[0] if height else missing), width


def _padding(
    attributes: dict[str, Any], sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape
) -> tuple[list[int], list[int]]:
    """Padding before and after each dimension. Raises UserError for an unknown `auto_pad`."""
    mode = attributes.get("auto_pad", "NOTSET")
    if mode == "VALID":
        return [0] * len(sizes), [0] * len(sizes)
    if mode == "NOTSET":
        pads = list(attributes.get("pads", (0,) * (2 * len(sizes))))
        if len(pads) != 2 * len(sizes):
            raise UserError("pads needs a begin and an end for each dimension", value=pads)
        return pads[: len(sizes)], pads[len(sizes) :]
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise UserError(
            "unknown auto_pad", value=mode, candidates=("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
        )
    begin, end = [], []
    for size, window, step, spread in zip(sizes, kernel, stride, dilation, strict=True):
        outputs = -(-size // step)
        total = max(0, (outputs - 1) * step + spread * (window - 1) + 1 - size)
        smaller, larger = total // 2, total - total // 2
        begin.append(smaller if mode == "SAME_UPPER" else larger)
        end.append(larger if mode == "SAME_UPPER" else smaller)
    return begin, end
