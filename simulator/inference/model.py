"""A trained network: the graph of an ONNX file with its weights, ready to be executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simulator.foundation import UserError
from simulator.foundation.given_values import path_text
from simulator.foundation.reading.foreign import decoding
from simulator.foundation.resources import resolve_document
from simulator.inference.executable_program import Operator, Program, Shape, program_of
from simulator.inference.layer_products import Product
from simulator.numerics.array_types import Tensor
from simulator.workload.onnx import (
    Graph,
    InputTensor,
    Sizes,
    Source,
    build_graph,
    read_source,
)
from simulator.workload.onnx.fixed_batch import batched, fixed_batch, leaves_batch_open
from simulator.workload.onnx.fixed_inputs import with_values
from simulator.workload.onnx.sizes import batch_axes, close_sizes


@dataclass(slots=True)
class _Programs:
    """Programs by the sizes of their inputs, made when they are asked for; products are shared by all.

    `learned` are shapes that data gave to inputs which the file leaves open.
    """

    by_sizes: dict[tuple[tuple[str, Shape], ...], Program] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)
    learned: dict[str, Shape] = field(default_factory=dict)
    run_sizes: dict[tuple[tuple[str, Shape], ...], int | None] = field(default_factory=dict)
    lock: Any = field(default_factory=RLock)


@dataclass(frozen=True, slots=True)
class Model:
    """A trained network.

    Attributes:
        path: the file.
        name: of the network.
        inputs: every input; sizes are numbers, symbols or None.
        output: the tensor that is judged.
        outputs: all that the network gives, and `output`.
        sizes: of inputs that the file leaves open.
    """

    path: Path
    name: str
    source: Source
    output: str
    outputs: tuple[str, ...]
    sizes: Sizes
    _programs: _Programs = field(default_factory=_Programs, repr=False, compare=False)

    @property
    def inputs(self) -> tuple[InputTensor, ...]:
        """What the network takes."""
        return self.source.inputs

    @property
    def input(self) -> str:
        """Name of the first input."""
        return self.inputs[0].name

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Sizes of the first input; None for the batch and for what is open."""
        return self.input_shapes[self.input]

    @property
    def input_shapes(self) -> Mapping[str, tuple[int | None, ...]]:
        """Sizes of every input, None for what is open; the first input's first axis always is."""
        shapes: dict[str, tuple[int | None, ...]] = {}
        for position, tensor in enumerate(self.inputs):
            given = self.sizes.input_shapes.get(tensor.name)
            stated = tensor.sizes if given is None else given
            known = [self.sizes.dims.get(size) if isinstance(size, str) else size for size in stated or ()]
            shapes[tensor.name] = (None, *known[1:]) if not position else tuple(known)
        return shapes

    @property
    def program(self) -> Program:
        """The network for one run of its own size. Raises UserError: dimensions are left open."""
        return self.program_for(self._programs.learned)

    @property
    def batch_axes(self) -> Mapping[str, int]:
        """The axis of the batch by input; inputs without one are not listed."""
        return self.program.batch_axes

    @property
    def run_size(self) -> int | None:
        """Entries along the first input's batch, else along its first axis, in a run; None: any number."""
        programs = self._programs
        key = tuple(sorted(programs.learned.items()))
        with programs.lock:
            if key not in programs.run_sizes:
                programs.run_sizes[key] = _run_size(self.source, self.known_sizes)
            return programs.run_sizes[key]

    @property
    def known_sizes(self) -> Sizes:
        """Sizes of the inputs: those that were given, and those that data gave."""
        return replace(self.sizes, input_shapes={**self.sizes.input_shapes, **self._programs.learned})

    @property
    def run_axes(self) -> Mapping[str, int]:
        """Axes along which data are cut into runs: the batch's where it comes first, else the first."""
        axes = self.batch_axes
        return axes if axes.get(self.input) == 0 else {self.input: 0}

    def learn_sizes(self, shapes: Mapping[str, Shape]) -> None:
        """Take the sizes of data for those that the file leaves open; the batch stays as it is.

        Args:
            shapes: of the data by input, the batch included.
        """
        axes = batch_axes(self.inputs, self.sizes, self.path)
        if self.sizes.batch_axis == "auto":
            axes.setdefault(self.input, 0)  # data come along the first axis, batch or not
        for tensor in self.inputs:
            shape = shapes.get(tensor.name)
            stated = self.sizes.input_shapes.get(tensor.name) or tensor.sizes
            if shape is None or stated is None or len(shape) != len(stated):
                continue
            axis = axes.get(tensor.name)
            known = [self.sizes.dims.get(size) if isinstance(size, str) else size for size in stated]
            if all(size is not None for index, size in enumerate(known) if index != axis):
                continue
            before = self._programs.learned.get(tensor.name, (1,) * len(shape))
            self._programs.learned[tensor.name] = tuple(
                (known[index] or before[index]) if index == axis else size for index, size in enumerate(shape)
            )
        self.learn_batch()

    def learn_batch(self) -> None:
        """Take the batch that the file fixes inside, where its inputs leave it open."""
        sizes = self.known_sizes
        batch = fixed_batch(self.source, sizes) if leaves_batch_open(self.source, self.sizes) else None
        if batch is not None:
            closed = close_sizes(self.inputs, sizes, self.path)
            self._programs.learned.update(batched(sizes, closed, batch).input_shapes)

    @property
    def operators(self) -> tuple[Operator, ...]:
        """The operators for one run of the network's own size."""
        return self.program.operators

    @property
    def products(self) -> tuple[Product, ...]:
        """The matrix products in execution order; one that runs in steps stands once."""
        products = (operator.product for operator in self.operators if operator.product is not None)
        return tuple({product.name: product for product in products}.values())

    @property
    def last_product(self) -> str:
        """Name of the layer that gives the logits."""
        return self.products[-1].name

    def judged_by(self, output: str) -> Model:
        """The same network with another tensor judged: one of its outputs, or any that it computes.

        Raises:
            UserError: the network computes no such tensor.
        """
        if (
            output in self.outputs
        ):  # known without the graph, whose sizes may still have to come from the data
            return replace(self, output=output)
        computed = [name for operator in self.operators for name in operator.outputs if name]
        if output not in computed:
            raise UserError(
                "the network computes no such tensor",
                source=self.path,
                location="output",
                value=output,
                allowed=f"its outputs {', '.join(self.outputs)}, or a tensor inside it",
                candidates=[*self.outputs, *computed],
            )
        return replace(self, output=output, outputs=(*self.outputs, output))

    def sized(self, sizes: Sizes) -> Model:
        """The same network for inputs of other sizes. Raises UserError: sizes that do not fit."""
        return _model(self.source, sizes, self.output)

    def program_for(self, shapes: Mapping[str, Shape]) -> Program:
        """The network for inputs of these shapes; others keep their own.

        Raises:
            UserError: shapes that do not fit, or operators that cannot be executed.
        """
        key = tuple(sorted(shapes.items()))
        programs = self._programs
        with programs.lock:
            if key not in programs.by_sizes:
                sizes = replace(self.sizes, input_shapes={**self.sizes.input_shapes, **shapes})
                programs.by_sizes[key] = program_of(self.source, sizes, programs.products)
            return programs.by_sizes[key]


def load_model(name_or_path: str | Path, *, sizes: Sizes | None = None) -> Model:
    """The trained network meant by a bundled name such as `lenet5_fashion`, or by the path of an ONNX file.

    It executes the graph that simulation prices: every product of it goes through the MAC, everything else
    runs in float32. Batch normalizations and constant biases go into the layer before them. Layers have the
    names that `simulator.workload.load_network` gives them. Half precisions are widened to float32.

    Args:
        name_or_path: the network.
        sizes: of inputs that the file leaves open; the batch may stay open.

    Raises:
        UserError: unreadable or not ONNX, weights missing or not finite, dimensions other than the batch left
            open, or operators (all named) that nobody here supports.
    """
    path = resolve_document(
        path_text(name_or_path, what="a model"), "workloads", ".onnx", what="trained network"
    )
    if path.suffix.lower() != ".onnx":
        raise UserError("trained networks are ONNX files with weights", source=path, value=path.suffix)
    with decoding("a network that can be executed", source=path):
        return model_of(read_source(path, all_inputs_are_data=True), sizes=sizes)


def model_of(source: Source, *, sizes: Sizes | None = None) -> Model:
    """As `load_model`, of what was read already. Raises UserError as `load_model`."""
    given, left = with_values(source, sizes or Sizes())
    if not given.inputs:
        raise UserError("a network for inference has a data input", source=given.path)
    return _model(given, left, given.output_names[0])


def _model(source: Source, sizes: Sizes, output: str) -> Model:
    outputs = tuple(dict.fromkeys([*source.output_names, output]))
    model = Model(source.path, source.path.stem, source, output, outputs, sizes)
    inner = [size for shape in model.input_shapes.values() for size in shape[1:]]
    is_closed = None not in inner
    if is_closed:
        model.learn_batch()
    if is_closed and not any(operator.product for operator in model.operators):
        raise UserError("has no layers that an array can compute", source=source.path)
    return model


def _run_size(source: Source, sizes: Sizes) -> int | None:
    """How many entries of the first axis a run takes: what the file fixes, or None for any number.

    A file may leave the batch open and fix it inside, in the target of a Reshape, or fix it and need not.
    Where the graph for twice as many inferences is no graph, its results do not double, or its weights are
    others (a table that is repeated for each inference), it is fixed.
    """
    closed = close_sizes(source.inputs, sizes, source.path)
    first = source.inputs[0]
    if closed.batch_axes.get(first.name) != 0:
        # Data come along the first axis, which is no batch: all of it belongs together.
        shape = closed.shapes[first.name]
        return shape[0] if shape else 1
    one = build_graph(source, sizes)
    doubled = {
        name: tuple(size * (1 + (index == closed.batch_axes.get(name))) for index, size in enumerate(shape))
        for name, shape in closed.shapes.items()
    }
    try:
        two = build_graph(source, replace(sizes, input_shapes=doubled))
    except UserError:
        return closed.batch
    if _stepped(one) != _stepped(two):
        raise UserError(
            f"dimension 0 of {first.name!r} is no batch: layers make a step for each of its entries",
            source=source.path,
            allowed="--batch-axis with the dimension that is the batch, or none",
        )
    same = _weight_shapes(one) == _weight_shapes(two)
    doubles = all(_doubles(one.shapes.get(name), two.shapes.get(name)) for name in source.output_names)
    return None if same and doubles and len(two.conflicts) == len(one.conflicts) else closed.batch


def _stepped(graph: Graph) -> int:
    """Products that are steps of a recurrent layer."""
    return sum(graph.nodes[index].step is not None for index in graph.layer_names)


def _weight_shapes(graph: Graph) -> list[tuple[str, Shape | None]]:
    """Every layer with the shape of its weights; None where the right operand is computed."""
    return sorted(
        (name, constant.shape if (constant := graph.constants.get(graph.nodes[index].inputs[1])) else None)
        for index, name in graph.layer_names.items()
    )


def _doubles(before: Shape | None, after: Shape | None) -> bool:
    """Whether a result of twice as many inferences is twice as long along one axis; unknown ones may be."""
    if before is None or after is None:
        return True
    if len(before) != len(after):
        return False
    grown = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    return len(grown) == 1 and grown[0][1] == 2 * grown[0][0]


def as_given(values: ArrayLike, tensor: InputTensor) -> Tensor:
    """An input's values in the type that the file states."""
    return np.asarray(values, tensor.dtype or np.dtype(np.float32))
