"""Einsum as batched matrix products, two operands at a time from the left."""

from __future__ import annotations

from math import prod

from simulator.foundation import UserError
from simulator.workload.onnx.builder import Builder
from simulator.workload.onnx.graph import Node
from simulator.workload.onnx.matrix_rules import write_matmul


def einsum(builder: Builder, node: Node) -> None:
    """A sum of products over indices. What sums over no shared index is elementwise work, not a product."""
    terms, result = _parsed(builder, node)
    operands = list(node.inputs)
    sizes: dict[str, int] = {}
    for position in range(len(operands)):
        while len(set(terms[position])) != len(terms[position]):
            operands[position], terms[position] = _diagonal(builder, operands[position], terms[position])
        for index, size in zip(terms[position], builder.shape(operands[position]), strict=True):
            if sizes.get(index, 1) != 1 and size not in (1, sizes[index]):
                raise UserError(
                    f"{node.describe()}: index {index!r} has two sizes, {sizes[index]} and {size}",
                    source=builder.path,
                )
            sizes[index] = max(size, sizes.get(index, 1))
    name, term = operands[0], terms[0]
    for position in range(1, len(operands)):
        kept = set(result).union(*terms[position + 1 :])
        name, term = _pair(builder, (name, term), (operands[position], terms[position]), kept)
    name, term = _summed(builder, name, term, set(result))
    order = tuple(term.index(index) for index in result)
    if order == tuple(range(len(order))):
        builder.ops("Identity", name, outputs=[node.outputs[0]])
    else:
        builder.ops("Transpose", name, outputs=[node.outputs[0]], perm=order)


def _parsed(builder: Builder, node: Node) -> tuple[list[str], str]:
    """A letter for each dimension of every operand and of the result; an ellipsis gets its own letters."""
    equation = node.get("equation").replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(node.inputs):
        raise UserError(
            f"{node.describe()}: has {len(node.inputs)} operands", source=builder.path, value=equation
        )
    free = [letter for letter in map(chr, range(0x3B1, 0x3B1 + 64)) if letter not in equation]
    longest = 0
    for position, (term, name) in enumerate(zip(terms, node.inputs, strict=True)):
        rank = len(builder.shape(name))
        if "..." in term:
            spare = rank - len(term.replace("...", ""))
            longest = max(longest, spare)
            # The ellipsis is right-aligned, as NumPy broadcasts.
            term = term.replace("...", "".join(free[:32][32 - spare :]))
        if len(term) != rank:
            raise UserError(
                f"{node.describe()}: {name!r} has {rank} dimensions", source=builder.path, value=equation
            )
        terms[position] = term
    dots = "".join(free[:32][32 - longest :])
    if not arrow:
        letters = left.replace("...", "").replace(",", "")
        result = dots + "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
    return terms, result.replace("...", dots)


def _diagonal(builder: Builder, name: str, term: str) -> tuple[str, str]:
    """The diagonal over the first index that stands twice, which goes to the end."""
    index = next(each for each in term if term.count(each) > 1)
    first = term.index(index)
    second = term.index(index, first + 1)
    others = [position for position in range(len(term)) if position not in (first, second)]
    shape = builder.shape(name)
    size = shape[first]
    turned = builder.op("Transpose", name, perm=(*others, first, second))
    lead = [shape[position] for position in others]
    flat = builder.op("Reshape", turned, builder.integers(*lead, size * size))
    places = builder.integers(*range(0, size * size, size + 1))
    return (
        builder.op("Gather", flat, places, axis=len(others)),
        "".join(term[position] for position in others) + index,
    )


def _summed(builder: Builder, name: str, term: str, kept: set[str]) -> tuple[str, str]:
    """Sum over the indices that nobody needs."""
    gone = [position for position, index in enumerate(term) if index not in kept]
    if not gone:
        return name, term
    name = builder.op("ReduceSum", name, builder.integers(*gone), keepdims=0)
    return name, "".join(index for index in term if index in kept)


def _pair(
    builder: Builder, first: tuple[str, str], second: tuple[str, str], kept: set[str]
) -> tuple[str, str]:
    """The product of two operands, summed over the indices that both have and nobody else needs."""
    (a, left), (b, right) = first, second
    a, left = _summed(builder, a, left, kept | set(right))
    b, right = _summed(builder, b, right, kept | set(left))
    a_sizes = dict(zip(left, builder.shape(a), strict=True))
    b_sizes = dict(zip(right, builder.shape(b), strict=True))
    both = [index for index in left if index in right]
    # A size of 1 against another one is broadcast: such an index is no sum of products.
    summed = [index for index in both if index not in kept and a_sizes[index] == b_sizes[index]]
    if not summed:
        return _elementwise(builder, (a, left), (b, right), kept)
    shared = [index for index in both if index not in summed]
    rows = [index for index in left if index not in both]
    columns = [index for index in right if index not in both]
    a = _arranged(builder, a, left, [*shared, *rows, *summed])
    b = _arranged(builder, b, right, [*shared, *summed, *columns])
    k = prod(a_sizes[index] for index in summed)
    m = prod(a_sizes[index] for index in rows)
    n = prod(b_sizes[index] for index in columns)
    a = builder.op("Reshape", a, builder.integers(*(a_sizes[index] for index in shared), m, k))
    b = builder.op("Reshape", b, builder.integers(*(b_sizes[index] for index in shared), k, n))
    sums = write_matmul(builder, a, b)
    lead = [max(a_sizes[index], b_sizes[index]) for index in shared]
    sizes = [*lead, *(a_sizes[index] for index in rows), *(b_sizes[index] for index in columns)]
    name = builder.op("Reshape", sums, builder.integers(*sizes))
    return name, "".join([*shared, *rows, *columns])


def _elementwise(
    builder: Builder, first: tuple[str, str], second: tuple[str, str], kept: set[str]
) -> tuple[str, str]:
    """Broadcast multiplication over all indices of both."""
    (a, left), (b, right) = first, second
    every = [*left, *(index for index in right if index not in left)]
    spread = []
    for name, term in ((a, left), (b, right)):
        present = [index for index in every if index in term]
        name = _arranged(builder, name, term, present)
        absent = [position for position, index in enumerate(every) if index not in term]
        spread.append(builder.op("Unsqueeze", name, builder.integers(*absent)) if absent else name)
    name = builder.op("Mul", *spread)
    return _summed(builder, name, "".join(every), kept)


def _arranged(builder: Builder, name: str, term: str, order: list[str]) -> str:
    perm = tuple(term.index(index) for index in order)
    return name if perm == tuple(range(len(perm))) else builder.op("Transpose", name, perm=perm)
