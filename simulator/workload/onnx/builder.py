"""A graph that grows operator by operator, while rules write into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.bodies import instantiate
from simulator.workload.onnx.constant_folding import constant_of, folded
from simulator.workload.onnx.file import element_dtype
from simulator.workload.onnx.graph import (
    OWN_DOMAIN,
    Attribute,
    Constant,
    Graph,
    Node,
    Shape,
    Source,
    Tensor,
)
from simulator.workload.onnx.names import layer_names
from simulator.workload.onnx.operators import OPTIONALS, PRODUCTS, RANDOM, SHAPE_QUERIES
from simulator.workload.onnx.own_operators import own_element, own_shape
from simulator.workload.onnx.sizes import ClosedSizes
from simulator.workload.onnx.types import ContradictingSizesError, inferred, known, tensor_type

VERSION = 21
"""Operator set of the operators that rules write."""
_MOST_NODES = 200_000
"""Loops and recurrent layers are written out step by step, up to this many operators."""

MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What reading an operator raises that lacks what ONNX asks of it."""

Rule = Callable[["Builder", Node], None]
"""Writes plain operators in place of one."""


class OperatorRule(NamedTuple):
    """What becomes of an operator; `is_product` says that it multiplies and accumulates."""

    write: Rule
    is_product: bool = True


RuleLookup = Callable[[Node], OperatorRule | None]
Resolver = Callable[["Builder", Node], bool]


class UnsupportedError(Exception):
    """An operator in a form that no rule knows; the text says which."""


class UnknownShapeError(Exception):
    """A tensor's shape does not follow from the file."""


def _without_option(node: Node) -> Node:
    """A value that may be missing, and is there, as itself."""
    if node.is_standard and node.operator in OPTIONALS and node.input(0):
        return replace(node, operator="Identity", attributes={})
    return node


class Builder:
    """A graph that grows operator by operator; rules write into it."""

    def __init__(self, source: Source, closed: ClosedSizes, rule_of: RuleLookup, resolve: Resolver) -> None:
        """An empty graph for a file.

        Args:
            source: the file.
            closed: sizes of its inputs.
            rule_of: the rule for an operator.
            resolve: writes out control flow; False for other operators.
        """
        self._rule_of = rule_of
        self._resolve = resolve
        self.source = source
        self.path = source.path
        self.closed = closed
        self.nodes: list[Node] = []
        self.constants: dict[str, Constant] = dict(source.body.constants)
        self.types: dict[str, Any] = {}
        self.sequences: dict[str, tuple[str, ...]] = {}
        self.unsupported: list[str] = []
        self.shapeless: list[str] = []
        self.refused: set[int] = set()
        self.folded: list[str] = []
        self.notes: list[str] = []
        self.reasons: dict[str, str] = {}
        self._fresh = 0
        self._current: Node | None = None
        for tensor in source.inputs:
            self.types[tensor.name] = tensor_type(tensor.dtype, closed.shapes[tensor.name])

    # -- what rules ask ----------------------------------------------------------------------------------

    def shape(self, name: str) -> Shape:
        """A tensor's sizes. Raises UnknownShapeError."""
        shape = self.known_shape(name)
        if shape is None:
            reason = f" ({self.reasons[name]})" if name in self.reasons else ""
            raise UnknownShapeError(f"shape of {name!r} is unknown{reason}")
        return shape

    def known_shape(self, name: str) -> Shape | None:
        """A tensor's sizes, or None."""
        if name in self.constants:
            return self.constants[name].shape
        proto = self.types.get(name)
        if proto is None or not proto.HasField("tensor_type") or not proto.tensor_type.HasField("shape"):
            return None
        dimensions = proto.tensor_type.shape.dim
        if not all(dimension.HasField("dim_value") for dimension in dimensions):
            return None
        return tuple(dimension.dim_value for dimension in dimensions)

    def type_of(self, name: str) -> Any:
        """The protobuf type of a tensor. Raises UnknownShapeError where nothing is known of it."""
        if name in self.constants:
            return tensor_type(self.constants[name].dtype, self.constants[name].shape)
        if name not in self.types:
            raise UnknownShapeError(f"type of {name!r} is unknown")
        return self.types[name]

    def dtype(self, name: str) -> np.dtype[Any] | None:
        """A tensor's element type, or None."""
        if name in self.constants:
            return self.constants[name].dtype
        proto = self.types.get(name)
        if proto is None or not proto.HasField("tensor_type"):
            return None
        return element_dtype(proto.tensor_type.elem_type)

    def is_constant(self, name: str) -> bool:
        """Whether a tensor does not depend on the inputs; a left-out operand does not."""
        return not name or name in self.constants

    def value(self, name: str) -> Tensor | None:
        """A constant's values; None for computed tensors and left-out operands."""
        return self.constants[name].values() if name in self.constants else None

    @property
    def label(self) -> str:
        """What a layer that is written now is called."""
        return self._current.label if self._current else ""

    # -- what rules write --------------------------------------------------------------------------------

    def constant(self, values: Any, dtype: Any = None) -> str:
        """A new constant."""
        name = self._name("constant")
        self.constants[name] = Constant.of(np.asarray(values, dtype), stored=name)
        return name

    def integers(self, *values: int) -> str:
        """A new constant of whole numbers, such as axes or sizes."""
        return self.constant(values, np.int64)

    def op(
        self,
        operator: str,
        *inputs: str,
        outputs: Sequence[str] | int = 1,
        domain: str = "",
        version: int = VERSION,
        label: str = "",
        step: int | None = None,
        **attributes: Attribute,
    ) -> str:
        """Write an operator and give the name of its first result."""
        names = [self._name(operator) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self.ops(
            operator,
            *inputs,
            outputs=names,
            domain=domain,
            version=version,
            label=label,
            step=step,
            **attributes,
        )
        return names[0]

    def ops(
        self,
        operator: str,
        *inputs: str,
        outputs: Sequence[str],
        domain: str = "",
        version: int = VERSION,
        label: str = "",
        step: int | None = None,
        **attributes: Attribute,
    ) -> None:
        """Write an operator with results of these names."""
        current = self._current
        given = {name: value for name, value in attributes.items() if value is not None}
        node = Node(
            operator,
            inputs,
            tuple(outputs),
            domain,
            version if not domain else 1,
            given,
            name=current.name if current else "",
            label=label or (current.label if current else ""),
            origin=current.describe() if current else "",
            step=step,
        )
        self.add(node, lower=operator not in PRODUCTS)

    def _name(self, operator: str) -> str:
        self._fresh += 1
        stem = self._current.output(0) if self._current else ""
        return f"{stem}::{operator}_{self._fresh}"

    # -- the pass ----------------------------------------------------------------------------------------

    def add_all(self, nodes: Sequence[Node]) -> None:
        """Write operators of the file."""
        for node in nodes:
            self.add(node)

    def add(self, node: Node, *, lower: bool = True) -> None:
        """Write one operator: as a constant, as what a rule makes of it, or as it is.

        Raises:
            UserError: an operator without the operands or attributes that it must have.
        """
        try:
            self._add(node, lower=lower)
        except UserError as error:
            if error.source is not None:
                raise
            raise UserError(f"{node.describe()}: {error}", source=self.path) from error
        except MALFORMED as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise UserError(
                f"{node.describe()} is not as ONNX defines it ({reason})", source=self.path
            ) from error

    def _add(self, node: Node, *, lower: bool) -> None:
        if len(self.nodes) > _MOST_NODES:
            raise UserError(
                f"has more than {_MOST_NODES} operators when loops are written out", source=self.path
            )
        function = self.source.functions.get((node.domain, node.operator))
        if function is not None:
            self.add_all(instantiate(function, node))
            return
        if node.operator == "Constant" and node.is_standard:
            self.constants[node.outputs[0]] = constant_of(node)
            return
        try:
            node = _without_option(node)
            if self._resolve(self, node):
                return
            rule = self._rule_of(node) if lower else None
            if self._is_constant_node(node):
                if (rule is not None and rule.is_product) or (node.operator in PRODUCTS and node.is_standard):
                    self.folded.append(node.describe())
                if self._fold(node):
                    return
            if node.is_standard and node.operator in SHAPE_QUERIES and self._answer(node):
                return
            if rule is not None and self._lower(rule.write, node):
                return
        except UnsupportedError as error:
            self.refused.add(len(self.nodes))
            self.unsupported.append(f"{node.describe()}: {error}")
        except UnknownShapeError as error:
            self.refused.add(len(self.nodes))
            self.shapeless.append(f"{node.describe()}: {error}")
        self._append(node)

    def _lower(self, rule: Rule, node: Node) -> bool:
        """Write what a rule makes of an operator; nothing stays of it where the rule gives up."""
        outer, length = self._current, len(self.nodes)
        if outer is None:
            self._current = node
        try:
            rule(self, node)
        except (UnsupportedError, UnknownShapeError):
            del self.nodes[length:]
            raise
        finally:
            self._current = outer
        return True

    def _is_constant_node(self, node: Node) -> bool:
        return (
            all(self.is_constant(name) for name in node.inputs)
            and not node.bodies
            and not (node.is_standard and node.operator in RANDOM)
        )

    def _append(self, node: Node) -> None:
        for name, proto in self._infer(node).items():
            self.types[name] = proto
        self.nodes.append(node)
        if node.operator == "Reshape" and node.is_standard:
            before, after = self.known_shape(node.inputs[0]), self.known_shape(node.outputs[0])
            if before is not None and after is not None and prod(before) != prod(after):
                self.reasons[node.outputs[0]] = f"{node.describe()}: {before} does not become {after}"

    def _fold(self, node: Node) -> bool:
        """Make constants of a node's results; False where nobody can compute them."""
        given = [self.constants.get(name) for name in node.inputs]
        results = folded(node, given, self._infer(node), self.path)
        if results is None:
            return False
        for name in results:
            self.types.pop(name, None)
        self.constants.update(results)
        return True

    def _answer(self, node: Node) -> bool:
        """The constant that a question about a known shape is, or whether a tensor is there at all."""
        shape = self.known_shape(node.input(0)) if node.input(0) else None
        if shape is None:
            return False
        if node.operator == "OptionalHasElement":
            values = np.ones((), np.bool_)
        elif node.operator == "Size":
            values = np.array(prod(shape), np.int64)
        else:
            values = np.array(shape[slice(node.get("start"), node.get("end"))], np.int64)
        self.constants[node.outputs[0]] = Constant.of(values, stored=node.outputs[0])
        return True

    def _infer(self, node: Node) -> dict[str, Any]:
        """Types of a node's results: inferred, else as the file declares them."""
        found = self._own_types(node) if node.domain == OWN_DOMAIN else self._library_types(node)
        for name in filter(None, node.outputs):
            shape, _ = known(found.get(name))
            declared = None if shape is not None else self._declared(name)
            if declared is not None:
                proto = found.get(name)
                element = proto.tensor_type.elem_type if proto is not None else 1
                found[name] = tensor_type(element_dtype(element), declared)
        return found

    def _own_types(self, node: Node) -> dict[str, Any]:
        shape, dtype = self.shape(node.inputs[0]), self.dtype(node.inputs[0])
        element = own_element(node, dtype or np.dtype(np.float32))
        return {node.outputs[0]: tensor_type(element, own_shape(node, shape))}

    def _library_types(self, node: Node) -> dict[str, Any]:
        try:
            return inferred(node, self.types, self.constants)
        except ContradictingSizesError as error:
            reason = f"{node.describe()}: {error}"
            self.reasons.update(dict.fromkeys(filter(None, node.outputs), reason))
            return {}

    def _declared(self, name: str) -> Shape | None:
        """The size that the file states for a tensor, where it holds for the sizes of the inputs."""
        sizes = self.source.declared.get(name)
        if sizes is None:
            return None
        known = [self.closed.symbols.get(size) if isinstance(size, str) else size for size in sizes]
        return None if None in known else tuple(size for size in known if size is not None)

    # -- the result --------------------------------------------------------------------------------------

    def graph(self) -> Graph:
        """What was written."""
        outputs = self.source.output_names
        nodes = tuple(self.nodes)
        used = {name for node in nodes for name in node.inputs} | set(outputs)
        shapes = {name: shape for name in self.types if (shape := self.known_shape(name)) is not None}
        closed = self.closed
        return Graph(
            path=self.path,
            name=self.path.stem,
            nodes=nodes,
            constants={name: constant for name, constant in self.constants.items() if name in used},
            shapes=shapes,
            inputs=self.source.inputs,
            outputs=outputs,
            layer_names=layer_names(nodes),
            batch=closed.batch,
            batch_reason=closed.batch_reason,
            batch_axes=closed.batch_axes,
            unsupported=tuple(self.unsupported),
            shapeless=tuple(self.shapeless),
            refused=frozenset(self.refused),
            conflicts=tuple(dict.fromkeys(self.reasons.values())),
            folded=tuple(self.folded),
            notes=tuple(dict.fromkeys(self.notes)),
        )
