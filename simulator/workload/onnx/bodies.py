"""Writing out a body where it is used: a function at its call, a branch for its `If`, a step of a loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simulator.workload.onnx.graph import Body, Node, Reference, renamed


def instantiate(function: Body, call: Node) -> tuple[Node, ...]:
    """The operators of a function, on the tensors of a call and with its attributes."""
    attributes = {**function.defaults, **call.attributes}
    names = {formal: call.input(position) for position, formal in enumerate(function.inputs)}
    inner = _inner_names(function, f"{call.name or call.output(0)}/")
    results = {}
    nodes = []
    for position, formal in enumerate(function.outputs):
        wanted = call.output(position)
        if formal in inner and wanted and formal not in results:
            results[formal] = wanted
        elif wanted:  # an input handed through, or a result asked for twice
            nodes.append(Node("Identity", (formal,), (wanted,), version=21, name=call.name, label=call.label))
    written = [_bound(node, attributes) for node in function.nodes]
    names = inner | names | results
    return tuple(_labelled(renamed(node, names), call) for node in (*written, *nodes))


def _labelled(node: Node, call: Node) -> Node:
    prefix = call.name or call.label
    return replace(
        node,
        name=f"{prefix}/{node.name}" if prefix and node.name else node.name or call.name,
        label=f"{prefix}/{node.label}" if prefix else node.label,
    )


def inlined(body: Body, prefix: str, bindings: Mapping[str, str]) -> tuple[tuple[Node, ...], dict[str, str]]:
    """A branch's or a loop body's operators with names of their own, and what every name became.

    Args:
        body: the body.
        prefix: of its inner names.
        bindings: tensors of the graph for the body's inputs.
    """
    names = _inner_names(body, prefix) | dict(bindings)
    nodes = tuple(renamed(node, names) for node in body.nodes)
    return nodes, names


def _inner_names(body: Body, prefix: str) -> dict[str, str]:
    own = [*body.constants, *(name for node in body.nodes for name in node.outputs if name)]
    return {name: f"{prefix}{name}" for name in own}


def _bound(node: Node, attributes: Mapping[str, Any]) -> Node:
    """A function's operator with references to the call's attributes resolved, in its bodies too."""
    found: dict[str, Any] = {}
    for name, value in node.attributes.items():
        if isinstance(value, Reference):
            if value.name in attributes:
                found[name] = attributes[value.name]
        elif isinstance(value, Body):
            found[name] = replace(value, nodes=tuple(_bound(inner, attributes) for inner in value.nodes))
        else:
            found[name] = value
    return replace(node, attributes=found)
