"""ONNX graphs as typed data: operators, constants that are read when they are needed, and bodies.

Nothing here knows the onnx package. `file.py` makes these from a file, `builder.py` puts sizes to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from simulator.numerics.array_types import Tensor as Tensor

Shape = tuple[int, ...]
Attribute = Any
"""An attribute's value: int, float, text, a tuple of these, a `Constant`, a `Body` or a `Reference`."""

STANDARD_DOMAINS = ("", "ai.onnx")
OWN_DOMAIN = "systolic"
"""Domain of operators that only lowering writes; no file may hold them."""


class Constant:
    """A tensor whose values do not depend on the network's input. Its values are made on first use.

    Attributes:
        shape: its sizes.
        dtype: NumPy type of its values.
        stored: name of the tensor in the file that holds the same elements, in whatever order.
    """

    __slots__ = ("_make", "_values", "dtype", "shape", "stored")

    def __init__(
        self, shape: Shape, dtype: np.dtype[Any], make: Callable[[], Tensor], *, stored: str = ""
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.stored = stored
        self._make: Callable[[], Tensor] | None = make
        self._values: Tensor | None = None

    @staticmethod
    def of(values: Tensor, *, stored: str = "") -> Constant:
        """A constant that is there already."""
        constant = Constant(values.shape, values.dtype, lambda: values, stored=stored)
        constant.values()
        return constant

    @property
    def size(self) -> int:
        """How many elements it has."""
        return int(np.prod(self.shape, dtype=np.int64))

    def fresh(self) -> Tensor:
        """Its values without keeping them, for whoever keeps something made of them."""
        if self._values is not None:
            return self._values
        assert self._make is not None
        return self._make()

    def values(self) -> Tensor:
        """Its values, made or read once. Raises UserError where the file does not hold them."""
        if self._values is None:
            assert self._make is not None
            self._values = self._make()
            self._make = None
        return self._values


@dataclass(frozen=True, slots=True)
class Reference:
    """An attribute inside a function that stands for the attribute of this name of the call."""

    name: str


@dataclass(frozen=True, slots=True)
class Body:
    """Operators with inputs and outputs of their own: a function's, a branch's or a loop's.

    Names that are no input, no constant and no output of an operator are captured from outside.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant] = field(default_factory=dict)
    defaults: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """One operator.

    Attributes:
        operator: its type, such as `Conv`.
        inputs: names of its operands; an empty name is an optional operand that was left out.
        outputs: names of its results.
        domain: "" for the ONNX standard.
        version: of the domain's operator set.
        attributes: by name.
        name: in the file; may be empty.
        label: what a layer that it computes is called, before names are made distinct.
        origin: the operator of the file that it was made from, for messages: `LSTM (encoder)`.
        step: which repetition of one product it is, where steps follow each other.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    domain: str = ""
    version: int = 1
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    name: str = ""
    label: str = ""
    origin: str = ""
    step: int | None = None

    @property
    def is_standard(self) -> bool:
        """Whether the ONNX standard defines it."""
        return self.domain in STANDARD_DOMAINS

    @property
    def bodies(self) -> tuple[Body, ...]:
        """The bodies among its attributes."""
        return tuple(value for value in self.attributes.values() if isinstance(value, Body))

    def input(self, position: int) -> str:
        """The name of an operand; empty where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""

    def output(self, position: int) -> str:
        """The name of a result; empty where nobody asks for it."""
        return self.outputs[position] if position < len(self.outputs) else ""

    def get(self, attribute: str, default: Attribute = None) -> Attribute:
        """An attribute's value, or a default."""
        return self.attributes.get(attribute, default)

    def describe(self) -> str:
        """The operator and its name, for messages."""
        if self.origin:
            return self.origin
        operator = self.operator if self.is_standard else f"{self.domain}.{self.operator}"
        label = self.name or next(iter(filter(None, self.outputs)), "")
        return f"{operator} ({label})" if label else operator


@dataclass(frozen=True, slots=True)
class InputTensor:
    """What a file says of one input: sizes are numbers, symbols, or None where nothing is said."""

    name: str
    dtype: np.dtype[Any] | None
    sizes: tuple[int | str | None, ...] | None


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it is, functions and all: `declared` are sizes that the file states for inner tensors."""

    path: Path
    body: Body
    inputs: tuple[InputTensor, ...]
    functions: Mapping[tuple[str, str], Body]
    declared: Mapping[str, tuple[int | str | None, ...]]
    output_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph with sizes: products are `Conv` over two dimensions and `MatMul`, and nothing else is one.

    Attributes:
        path: the file.
        name: of the network.
        nodes: in execution order.
        constants: tensors that do not depend on the inputs, by name.
        shapes: sizes of computed tensors, where they are known.
        inputs: tensors that carry data.
        outputs: the graph's results.
        layer_names: of every product, by the position of its node.
        batch: inferences at once.
        batch_reason: what was taken for the batch, in words.
        batch_axes: the batch's dimension by input; inputs without one are not listed.
        unsupported: operators that can neither be counted nor computed.
        shapeless: operators that need shapes which do not follow from the file.
        refused: positions of the nodes of both.
        conflicts: operators whose sizes contradict each other.
        folded: products of constants, which are computed before anything runs.
        notes: what was assumed, one sentence each.
    """

    path: Path
    name: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant]
    shapes: Mapping[str, Shape]
    inputs: tuple[InputTensor, ...]
    outputs: tuple[str, ...]
    layer_names: Mapping[int, str]
    batch: int
    batch_reason: str
    batch_axes: Mapping[str, int]
    unsupported: tuple[str, ...] = ()
    shapeless: tuple[str, ...] = ()
    refused: frozenset[int] = frozenset()
    conflicts: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def renamed(node: Node, names: Mapping[str, str]) -> Node:
    """The same operator on tensors of other names, inside its bodies too."""
    attributes = {
        name: _renamed_body(value, names) if isinstance(value, Body) else value
        for name, value in node.attributes.items()
    }
    return replace(
        node,
        inputs=tuple(names.get(name, name) for name in node.inputs),
        outputs=tuple(names.get(name, name) for name in node.outputs),
        attributes=attributes,
    )


def _renamed_body(body: Body, names: Mapping[str, str]) -> Body:
    own = {*body.inputs, *body.constants, *(name for node in body.nodes for name in node.outputs)}
    outer = {old: new for old, new in names.items() if old not in own}
    return replace(
        body,
        nodes=tuple(renamed(node, outer) for node in body.nodes),
        outputs=tuple(outer.get(name, name) for name in body.outputs),
    )


def captured(body: Body) -> tuple[str, ...]:
    """Names that a body reads from outside, bodies inside it included."""
    own = {*body.inputs, *body.constants}
    found: dict[str, None] = {}
    for node in body.nodes:
        for name in (*node.inputs, *(name for inner in node.bodies for name in captured(inner))):
            if name and name not in own:
                found[name] = None
        own.update(node.outputs)
    found.update(dict.fromkeys(name for name in body.outputs if name not in own))
    return tuple(found)
