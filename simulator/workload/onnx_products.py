"""ONNX matrix products (Gemm, MatMul and their integer forms) as layers."""

from __future__ import annotations

from math import prod
from typing import Any

from simulator.foundation import UserError
from simulator.workload.layer import Layer, matrix_layer

Shape = tuple[int, ...]


def product_layer(name: str, node: Any, first: Shape, second: Shape, computed: tuple[bool, bool]) -> Layer:
    """The layer of a product; `computed` says which operands depend on the network's input.

    Each distinct second operand is one product. Leading dimensions that share one second operand are more
    rows of it. A computed tensor multiplied from the left by weights is the transposed product.

    Raises:
        UserError: the operands do not fit together.
    """
    if node.op_type == "Gemm":
        transposed = {attribute.name: attribute.i for attribute in node.attribute}
        if len(first) != 2 or len(second) != 2:
            raise UserError(f"layer {name!r}: Gemm needs two matrices", value=(first, second))
        first = first[::-1] if transposed.get("transA") else first
        second = second[::-1] if transposed.get("transB") else second
    if not first or not second:
        raise UserError(f"layer {name!r}: a scalar is no matrix", value=(first, second))
    first = (1, *first) if len(first) == 1 else first
    second = (*second, 1) if len(second) == 1 else second
    if first[-1] != second[-2]:
        raise UserError(f"layer {name!r}: inner sizes of the product differ", value=(first, second))
    if not computed[0]:
        first, second = _transposed(second), _transposed(first)
    rows = prod(_broadcast(name, first[:-2], second[:-2]))
    products = prod(second[:-2])
    activations = all(computed)
    return matrix_layer(
        name,
        "matmul" if activations or products > 1 else "fc",
        m=rows // products * first[-2],
        n=second[-1],
        k=first[-1],
        products=products,
        weights_are_activations=activations,
    )


def _transposed(shape: Shape) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2])


def _broadcast(name: str, first: Shape, second: Shape) -> Shape:
    """Leading dimensions of a product, by NumPy's broadcasting rule. Raises UserError."""
    length = max(len(first), len(second))
    pairs = zip((1,) * (length - len(first)) + first, (1,) * (length - len(second)) + second, strict=True)
    sizes = []
    for one, other in pairs:
        if one != other and 1 not in (one, other):
            raise UserError(f"layer {name!r}: leading sizes of the product differ", value=(first, second))
        sizes.append(max(one, other))
    return tuple(sizes)
