"""Names of the layers that a graph's products become: simulation and inference give the same."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.workload.onnx.graph import Node
from simulator.workload.onnx.operators import PRODUCTS


def is_product(node: Node) -> bool:
    """Whether a node of a graph with sizes is a matrix product."""
    return node.is_standard and node.operator in PRODUCTS


def layer_names(nodes: Sequence[Node]) -> dict[int, str]:
    """A name for each product, by the position of its node; steps of one product share theirs.

    A step that comes again belongs to another operator, even where both are called the same.

    A first path component that all names share, such as `gpu_0/`, is dropped.
    """
    names = {index: node.label for index, node in enumerate(nodes) if is_product(node)}
    first_parts = {name.split("/", 1)[0] for name in names.values()}
    if len(first_parts) == 1 and all("/" in name for name in names.values()):
        names = {index: name.split("/", 1)[1] for index, name in names.items()}
    steps: dict[tuple[str, str], str] = {}
    seen: set[tuple[str, int | None]] = set()
    taken: set[str] = set()
    for index, name in names.items():
        node = nodes[index]
        key = (name, node.origin)
        if node.step is not None and key in steps and (steps[key], node.step) not in seen:
            names[index] = steps[key]
            seen.add((names[index], node.step))
            continue
        candidate, copy = name, 2
        while candidate in taken:
            candidate, copy = f"{name}_{copy}", copy + 1
        names[index] = candidate
        taken.add(candidate)
        seen.add((candidate, node.step))
        steps[key] = candidate
    return names
