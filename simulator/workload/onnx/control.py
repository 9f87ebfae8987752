"""Control flow that the sizes of the inputs decide: `If`, `Loop`, `Scan`, and sequences of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.bodies import inlined
from simulator.workload.onnx.builder import Builder, UnsupportedError
from simulator.workload.onnx.graph import Body, Node
from simulator.workload.onnx.operators import CONTROL_FLOW

_MOST_STEPS = 10_000


def resolve(builder: Builder, node: Node) -> bool:
    """Write out control flow and sequences; False for operators that are neither.

    Raises:
        UnsupportedError: control flow that depends on data.
    """
    if not node.is_standard or node.operator not in _RESOLVERS:
        return False
    length = len(builder.nodes)
    try:
        return _RESOLVERS[node.operator](builder, node)
    except UnsupportedError:
        del builder.nodes[length:]
        _keep_shapes(builder, node)
        raise


def _write(builder: Builder, node: Node, body: Body, key: str, bindings: Mapping[str, str]) -> list[str]:
    """Write a body's operators; gives the names of its outputs."""
    nodes, names = inlined(body, f"{node.name or node.output(0)}/{key}", bindings)
    for name, constant in body.constants.items():
        builder.constants[names[name]] = constant
    builder.add_all(nodes)
    return [names.get(name, name) for name in body.outputs]


def _alias(builder: Builder, source: str, result: str) -> None:
    if result:
        if source in builder.sequences:
            builder.sequences[result] = builder.sequences[source]
        else:
            builder.op("Identity", source, outputs=[result])


def _if(builder: Builder, node: Node) -> bool:
    condition = builder.value(node.inputs[0])
    if condition is None:
        raise UnsupportedError("its condition depends on data")
    chosen = node.get("then_branch" if bool(np.asarray(condition).reshape(-1)[0]) else "else_branch")
    outputs = _write(builder, node, chosen, "", {})
    for source, result in zip(outputs, node.outputs, strict=False):
        _alias(builder, source, result)
    return True


def _loop(builder: Builder, node: Node) -> bool:
    body: Body = node.get("body")
    trips, first = builder.value(node.input(0)), builder.value(node.input(1))
    if (node.input(0) and trips is None) or (node.input(1) and first is None):
        raise UnsupportedError("its trip count depends on data")
    most = _MOST_STEPS + 1 if trips is None else int(trips.reshape(-1)[0])
    going = first is None or bool(first.reshape(-1)[0])
    states = list(node.inputs[2:])
    carried = len(states)
    gathered: list[list[str]] = [[] for _ in body.outputs[1 + carried :]]
    step = 0
    while going and step < most:
        if step >= _MOST_STEPS:
            raise UnsupportedError(f"more than {_MOST_STEPS} steps")
        given = [builder.constant(step, np.int64), builder.constant([True], np.bool_), *states]
        bindings = dict(zip(body.inputs, given, strict=True))
        condition, *results = _write(builder, node, body, f"step_{step}/", bindings)
        known = builder.value(condition)
        if known is None:
            raise UnsupportedError("its trip count depends on data")
        states = results[:carried]
        for each, result in zip(gathered, results[carried:], strict=True):
            each.append(result)
        going = bool(known.reshape(-1)[0])
        step += 1
    for source, result in zip(states, node.outputs, strict=False):
        _alias(builder, source, result)
    for parts, result in zip(gathered, node.outputs[carried:], strict=False):
        _stack(builder, parts, result, 0)
    return True


def _stack(builder: Builder, parts: list[str], result: str, axis: int) -> None:
    if not result:
        return
    if not parts:
        raise UnsupportedError("it makes no step, so that the size of its results is unknown")
    axes = builder.integers(axis)
    rows = [builder.op("Unsqueeze", part, axes) for part in parts]
    builder.ops("Concat", *rows, outputs=[result], axis=axis)


def _scan(builder: Builder, node: Node) -> bool:
    if node.version < 9:
        raise UnsupportedError("its form before operator set 9")
    body: Body = node.get("body")
    scanned = node.get("num_scan_inputs")
    states, sources = list(node.inputs[:-scanned]), node.inputs[-scanned:]
    axes = node.get("scan_input_axes", (0,) * scanned)
    backwards = node.get("scan_input_directions", (0,) * scanned)
    shapes = [builder.shape(name) for name in sources]
    steps = shapes[0][axes[0]]
    if steps > _MOST_STEPS:
        raise UnsupportedError(f"more than {_MOST_STEPS} steps")
    results = len(body.outputs) - len(states)
    gathered: list[list[str]] = [[] for _ in range(results)]
    for step in range(steps):
        slices = [
            builder.op(
                "Gather", name, builder.constant(steps - 1 - step if back else step, np.int64), axis=axis
            )
            for name, axis, back in zip(sources, axes, backwards, strict=True)
        ]
        bindings = dict(zip(body.inputs, [*states, *slices], strict=True))
        outputs = _write(builder, node, body, f"step_{step}/", bindings)
        states, made = outputs[: len(states)], outputs[len(states) :]
        for each, name in zip(gathered, made, strict=True):
            each.append(name)
    for source, result in zip(states, node.outputs, strict=False):
        _alias(builder, source, result)
    out_axes = node.get("scan_output_axes", (0,) * results)
    out_backwards = node.get("scan_output_directions", (0,) * results)
    made_names = node.outputs[len(states) :]
    for parts, axis, back, result in zip(gathered, out_axes, out_backwards, made_names, strict=False):
        _stack(builder, parts[::-1] if back else parts, result, axis)
    return True


def _keep_shapes(builder: Builder, node: Node) -> None:
    """Sizes of the results of an `If` on data, where both branches give the same.

    A branch that does not fit these inputs, for instance one for another sample rate, gives none.
    """
    if node.operator != "If":
        return
    branches = []
    for key in ("then_branch", "else_branch"):
        length = len(builder.nodes)
        try:
            outputs = _write(builder, node, node.get(key), f"{key}/", {})
        except UserError:
            del builder.nodes[length:]
            return
        branches.append([builder.known_shape(name) for name in outputs])
        types = [builder.types.get(name) for name in outputs]
        del builder.nodes[length:]
    for result, proto, *shapes in zip(node.outputs, types, *branches, strict=False):
        if shapes[0] is not None and shapes[0] == shapes[1] and proto is not None:
            builder.types[result] = proto


# -- sequences -----------------------------------------------------------------------------------------


def _construct(builder: Builder, node: Node) -> bool:
    builder.sequences[node.outputs[0]] = node.inputs
    return True


def _split(builder: Builder, node: Node) -> bool:
    """`SplitToSequence` with known sizes, as `Split`."""
    axis, keep = node.get("axis", 0), node.get("keepdims", 1)
    length = builder.shape(node.inputs[0])[axis]
    sizes = builder.value(node.input(1))
    if node.input(1) and sizes is None:
        return False
    if sizes is None:
        parts = [1] * length
    elif sizes.ndim:
        parts, keep = [int(size) for size in sizes], 1
    else:
        size, keep = int(sizes), 1
        parts = [min(size, length - start) for start in range(0, length, size)]
    names = [f"{node.outputs[0]}/{index}" for index in range(len(parts))]
    builder.ops("Split", node.inputs[0], builder.integers(*parts), outputs=names, axis=axis)
    if not keep:
        names = [builder.op("Squeeze", name, builder.integers(axis)) for name in names]
    builder.sequences[node.outputs[0]] = tuple(names)
    return True


def _position(builder: Builder, node: Node, operand: int, length: int) -> int | None:
    value = builder.value(node.input(operand))
    if value is None:
        return None
    position = int(value.reshape(-1)[0])
    return position + length if position < 0 else position


def _at(builder: Builder, node: Node) -> bool:
    parts = builder.sequences.get(node.inputs[0])
    if parts is None:
        return False
    position = _position(builder, node, 1, len(parts))
    if position is None or not 0 <= position < len(parts):
        return False
    _alias(builder, parts[position], node.outputs[0])
    return True


def _insert(builder: Builder, node: Node) -> bool:
    parts = builder.sequences.get(node.inputs[0])
    position = _position(builder, node, 2, len(parts or ())) if node.input(2) else len(parts or ())
    if parts is None or position is None:
        return False
    builder.sequences[node.outputs[0]] = (*parts[:position], node.inputs[1], *parts[position:])
    return True


def _erase(builder: Builder, node: Node) -> bool:
    parts = builder.sequences.get(node.inputs[0])
    if not parts:
        return False
    position = _position(builder, node, 1, len(parts)) if node.input(1) else len(parts) - 1
    if position is None or not 0 <= position < len(parts):
        return False
    builder.sequences[node.outputs[0]] = (*parts[:position], *parts[position + 1 :])
    return True


def _length(builder: Builder, node: Node) -> bool:
    parts = builder.sequences.get(node.inputs[0])
    if parts is None:
        return False
    builder.op("Identity", builder.constant(len(parts), np.int64), outputs=[node.outputs[0]])
    return True


def _concatenate(builder: Builder, node: Node) -> bool:
    parts = builder.sequences.get(node.inputs[0])
    if parts is None:
        return False
    axis = node.get("axis")
    if node.get("new_axis", 0):
        _stack(builder, list(parts), node.outputs[0], axis)
    else:
        builder.ops("Concat", *parts, outputs=[node.outputs[0]], axis=axis)
    return True


def _refuse(_builder: Builder, _node: Node) -> bool:
    raise UnsupportedError("its body would have to be written out once for each element of a sequence")


_RESOLVERS: Final[Mapping[str, Callable[[Builder, Node], bool]]] = {
    "If": _if,
    "Loop": _loop,
    "Scan": _scan,
    "SequenceMap": _refuse,
    "SequenceConstruct": _construct,
    "SequenceEmpty": _construct,
    "SplitToSequence": _split,
    "SequenceAt": _at,
    "SequenceErase": _erase,
    "SequenceInsert": _insert,
    "SequenceLength": _length,
    "ConcatFromSequence": _concatenate,
}
assert set(_RESOLVERS) >= CONTROL_FLOW
