"""The DRAM traffic of a tiled layer, found by walking its loops and remembering what the buffers hold.

Shares no code with `simulator.system`: input pixels are collected one output pixel at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product


def bytes_of(elements: int, bits: int) -> int:
    """Packed bytes."""
    return (elements * bits + 7) // 8


def touched_rows(
    pixels: range, *, height: int, out_width: int, out_height: int, kernel: int, stride: int, padding: int
) -> set[tuple[int, int]]:
    """(image, input row) pairs that output pixels read, padding left out."""
    touched: set[tuple[int, int]] = set()
    for pixel in pixels:
        image, inside = divmod(pixel, out_width * out_height)
        top = inside // out_width * stride - padding
        touched |= {(image, row) for row in range(top, top + kernel) if 0 <= row < height}
    return touched


def traffic_of_products(
    lengths: dict[str, int],
    tiles: dict[str, int],
    loops: Sequence[str],
    *,
    groups: int,
    activation_bits: int,
    weight_bits: int,
) -> tuple[int, int]:
    """Bytes of both operands of plain products when a buffer remembers the tile of the step before."""
    held: dict[str, object] = {}
    moved = {"ifmap": 0, "filter": 0}
    for group in range(groups):
        for starts in product(*(range(0, lengths[name], tiles[name]) for name in loops)):
            at = dict(zip(loops, starts, strict=True))
            size = {name: min(tiles[name], lengths[name] - at[name]) for name in "mnk"}
            for operand, (one, other), bits in (
                ("ifmap", ("m", "k"), activation_bits),
                ("filter", ("n", "k"), weight_bits),
            ):
                key = (group, at[one], at[other])
                if held.get(operand) != key:
                    held[operand] = key
                    moved[operand] += bytes_of(size[one] * size[other], bits)
    return moved["ifmap"], moved["filter"]


def traffic_with_partial_sums(
    lengths: dict[str, int],
    tiles: dict[str, int],
    loops: Sequence[str],
    *,
    whole_k: str,
    bits: dict[str, int],
) -> dict[str, int]:
    """Bytes of all operands of one product whose partial sums leave with their tile.

    A tile of outputs that is left before its reduction is finished is written, and read when it comes back.
    `whole_k` names an operand that is held with its whole reduction (or none); `bits` of an activation, a
    weight and an accumulator.
    """
    held: dict[str, tuple[int, ...]] = {}
    finished: dict[tuple[int, ...], int] = {}
    moved = {"ifmap": 0, "filter": 0, "ofmap": 0}
    sums: dict[tuple[int, ...], int] = {}
    for starts in product(*(range(0, lengths[name], tiles[name]) for name in loops)):
        at = dict(zip(loops, starts, strict=True))
        size = {name: min(tiles[name], lengths[name] - at[name]) for name in "mnk"}
        for operand, other, element in (("ifmap", "m", "activation"), ("filter", "n", "weight")):
            key = (at[other],) if operand == whole_k else (at[other], at["k"])
            reduction = lengths["k"] if operand == whole_k else size["k"]
            if held.get(operand) != key:
                held[operand] = key
                moved[operand] += bytes_of(size[other] * reduction, bits[element])
        outputs = (at["m"], at["n"])
        sums[outputs] = bytes_of(size["m"] * size["n"], bits["accumulator"])
        if held.get("ofmap") != outputs:
            left = held.get("ofmap")
            if left is not None and finished[left] < lengths["k"]:
                moved["ofmap"] += sums[left]
            if finished.get(outputs, 0):
                moved["ofmap"] += sums[outputs]
            held["ofmap"] = outputs
        finished[outputs] = finished.get(outputs, 0) + size["k"]
    moved["ofmap"] += bytes_of(lengths["m"] * lengths["n"], bits["activation"])
    return moved
