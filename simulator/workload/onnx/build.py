"""From a file and the sizes of its inputs to a graph in which every shape that can be known is known.

One pass in execution order does it, because everything that an operator can know stands before it: shapes
come from ONNX's own inference of a single operator, given the values of small constants; operators on
constants become constants, made when somebody asks for their values; `Shape` of a known shape is a constant;
functions and branches with a known condition are written out; rules turn operators into plain products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.bodies import instantiate
from simulator.workload.onnx.evaluate import evaluator_of, proto_of
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
from simulator.workload.onnx.operators import PRODUCTS, RANDOM, REARRANGEMENTS, SHAPE_QUERIES
from simulator.workload.onnx.own_operators import own_element, own_shape
from simulator.workload.onnx.sizes import ClosedSizes, Sizes, close_sizes

VERSION = 21
"""Operator set of the operators that rules write."""
_MOST_VALUES = 1024
"""Constants longer than this are weights, never sizes."""
_VALUES_ARE_SIZES = frozenset({"Resize", "Upsample", "Range", "OneHot"})
"""Operators whose shape may follow from constants that are not whole numbers."""
_MOST_NODES = 200_000
"""Loops and recurrent layers are written out step by step, up to this many operators."""

MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What reading an operator raises that lacks what ONNX asks of it."""

Rule = Callable[["Builder", Node], None]


class UnsupportedError(Exception):
    """An operator in a form that no rule knows; the text says which."""


class UnknownShapeError(Exception):
    """A tensor's shape does not follow from the file."""


def build_graph(source: Source, sizes: Sizes | None = None) -> Graph:
    """The graph of a file for inputs of these sizes.

    Raises:
        UserError: input dimensions left open, contradictory sizes, or a damaged file.
    """
    closed = close_sizes(source.inputs, sizes or Sizes(), source.path)
    builder = Builder(source, closed)
    builder.add_all(source.body.nodes)
    return builder.graph()


class Builder:
    """A graph that grows operator by operator; rules write into it."""

    def __init__(self, source: Source, closed: ClosedSizes) -> None:
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
            self.types[tensor.name] = _tensor_type(tensor.dtype, closed.shapes[tensor.name])

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
            return _tensor_type(self.constants[name].dtype, self.constants[name].shape)
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
        from simulator.workload.onnx.control import resolve
        from simulator.workload.onnx.rules import rule_of

        if len(self.nodes) > _MOST_NODES:
            raise UserError(
                f"has more than {_MOST_NODES} operators when loops are written out", source=self.path
            )
        function = self.source.functions.get((node.domain, node.operator))
        if function is not None:
            self.add_all(instantiate(function, node))
            return
        if node.operator == "Constant" and node.is_standard:
            self.constants[node.outputs[0]] = _constant_of(node)
            return
        try:
            if resolve(self, node):
                return
            rule = rule_of(node) if lower else None
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
        evaluate = evaluator_of(node)
        if evaluate is None:
            return False
        given = [self.constants.get(name) for name in node.inputs]
        results: list[Sequence[Tensor]] = []
        path = self.path

        def result(position: int) -> Tensor:
            made = results[0] if results else None
            if made is None:
                values = [None if constant is None else constant.values() for constant in given]
                try:
                    made = [_widened(np.asarray(each)) for each in evaluate(values)]
                except UserError:
                    raise
                except Exception as error:  # whatever the evaluator raises
                    reason = " ".join(str(error).split())[:200]
                    raise UserError(f"{node.describe()} cannot be computed: {reason}", source=path) from error
                if len(node.outputs) > 1:
                    results.append(made)
            return made[position]

        stored = given[0].stored if given and given[0] and node.operator in REARRANGEMENTS else ""
        types = self._infer(node)
        for position, name in enumerate(node.outputs):
            if not name:
                continue
            self.types.pop(name, None)
            shape, dtype = _known(types.get(name))
            if shape is None or dtype is None:
                values = result(position)
                shape, dtype = values.shape, values.dtype
            make = _Result(result, position)
            self.constants[name] = Constant(shape, dtype, make, stored=stored or name)
        return True

    def _answer(self, node: Node) -> bool:
        """The constant that `Shape` or `Size` of a known shape is."""
        shape = self.known_shape(node.input(0))
        if shape is None:
            return False
        if node.operator == "Size":
            values = np.array(prod(shape), np.int64)
        else:
            values = np.array(shape[slice(node.get("start"), node.get("end"))], np.int64)
        self.constants[node.outputs[0]] = Constant.of(values, stored=node.outputs[0])
        return True

    def _infer(self, node: Node) -> dict[str, Any]:
        """Types of a node's results: inferred, else as the file declares them."""
        found = self._own_types(node) if node.domain == OWN_DOMAIN else self._library_types(node)
        for name in filter(None, node.outputs):
            shape, _ = _known(found.get(name))
            declared = None if shape is not None else self._declared(name)
            if declared is not None:
                known = found.get(name)
                element = known.tensor_type.elem_type if known is not None else 1
                found[name] = _tensor_type(element_dtype(element), declared)
        return found

    def _own_types(self, node: Node) -> dict[str, Any]:
        shape, dtype = self.shape(node.inputs[0]), self.dtype(node.inputs[0])
        element = own_element(node, dtype or np.dtype(np.float32))
        return {node.outputs[0]: _tensor_type(element, own_shape(node, shape))}

    def _library_types(self, node: Node) -> dict[str, Any]:
        from onnx import defs, helper, numpy_helper
        from onnx.shape_inference import infer_node_outputs

        types: dict[str, Any] = {}
        data: dict[str, Any] = {}
        for name in filter(None, node.inputs):
            if name not in self.constants:
                if name not in self.types:
                    return {}
                types[name] = self.types[name]
                continue
            constant = self.constants[name]
            types[name] = _tensor_type(constant.dtype, constant.shape)
            is_size = constant.dtype.kind in "iu" and constant.dtype.itemsize >= 4
            if (is_size or node.operator in _VALUES_ARE_SIZES) and constant.size <= _MOST_VALUES:
                data[name] = numpy_helper.from_array(constant.values(), name)
        if node.bodies:
            return {}
        try:
            schema = defs.get_schema(node.operator, node.version, node.domain)
            imports = [helper.make_opsetid(node.domain, node.version)]
            return dict(infer_node_outputs(schema, proto_of(node), types, data, opset_imports=imports))
        except defs.SchemaError:
            return {}
        except Exception as error:  # the onnx package raises many kinds
            reason = f"{node.describe()}: {' '.join(str(error).split())[:200]}"
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


class _Result:
    """One of several results that are computed together."""

    __slots__ = ("_compute", "_position")

    def __init__(self, compute: Callable[[int], Tensor], position: int) -> None:
        self._compute = compute
        self._position = position

    def __call__(self) -> Tensor:
        return self._compute(self._position)


def _widened(values: Tensor) -> Tensor:
    half = values.dtype == np.float16 or values.dtype.name == "bfloat16"
    return values.astype(np.float32) if half else values


def _known(proto: Any) -> tuple[Shape | None, np.dtype[Any] | None]:
    if proto is None or not proto.HasField("tensor_type") or not proto.tensor_type.HasField("shape"):
        return None, None
    dimensions = proto.tensor_type.shape.dim
    if not all(dimension.HasField("dim_value") for dimension in dimensions):
        return None, None
    return tuple(each.dim_value for each in dimensions), element_dtype(proto.tensor_type.elem_type)


def _tensor_type(dtype: np.dtype[Any] | None, shape: Shape) -> Any:
    from onnx import TensorProto, helper

    element = TensorProto.FLOAT if dtype is None else helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_type_proto(element, shape)


def _constant_of(node: Node) -> Constant:
    """The tensor of a `Constant` operator, whichever of its attributes holds it."""
    name = node.outputs[0]
    for attribute, value in node.attributes.items():
        if isinstance(value, Constant):
            return Constant(value.shape, value.dtype, value.values, stored=name)
        dtype = {"value_float": np.float32, "value_floats": np.float32}.get(attribute, np.int64)
        if attribute.startswith("value_string"):
            return Constant.of(np.asarray(value, object), stored=name)
        return Constant.of(np.asarray(value, dtype), stored=name)
    raise UserError("Constant has no value", location=name)
