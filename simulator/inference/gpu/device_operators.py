"""Operators that are no product, on a device: those whose float32 bits are NumPy's by construction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from simulator.inference.executable_program import Operator
from simulator.numerics.gpu import Device, DeviceArray
from simulator.numerics.gpu.device_arithmetic import Kind, bounded, pairs
from simulator.workload.onnx import Node

Values = Sequence[DeviceArray | None]
OnDevice = Callable[[Device, Node, Values, Sequence[np.ndarray | None]], DeviceArray | None]
"""The result of a node from its inputs on the device and constants on the host; None: not here."""


def operator_on(
    device: Device, operator: Operator, inputs: Values, constants: Sequence[np.ndarray | None]
) -> DeviceArray | None:
    """The operator's only result, bit for bit that of `operator.evaluate`; None where the host must do it."""
    node, own = operator.node, _OPERATORS.get(operator.kind)
    if own is None or node is None or not node.is_standard or len(operator.outputs) != 1:
        return None
    if inputs[0] is None or inputs[0].dtype != np.float32:
        return None
    return own(device, node, inputs, constants)


def _of_two(kind: Kind) -> OnDevice:
    """One rounding for each element, as IEEE 754 has it."""

    def own(device: Device, node: Node, inputs: Values, _constants: Any) -> DeviceArray | None:
        first, second = inputs
        if node.version < 7 or first is None or second is None or second.dtype != np.float32:
            return None
        return pairs(device, kind, first, second)

    return own


def _relu(device: Device, _node: Node, inputs: Values, _constants: Any) -> DeviceArray | None:
    values = inputs[0]
    assert values is not None
    return pairs(device, "greater", values, device.to_device(np.zeros(1, np.float32)))


def _clip(device: Device, node: Node, inputs: Values, constants: Any) -> DeviceArray | None:
    values = inputs[0]
    assert values is not None
    if node.version < 11:
        bounds = [node.get("min", None), node.get("max", None)]
    else:
        given = [*inputs[1:], None, None][:2]
        bounds = [*constants[1:], None, None][:2]
        if any(bound is None and there is not None for bound, there in zip(bounds, given, strict=True)):
            return None
    low = -np.inf if bounds[0] is None else float(np.float32(bounds[0]))
    high = np.inf if bounds[1] is None else float(np.float32(bounds[1]))
    return None if np.isnan(low) or np.isnan(high) else bounded(device, values, low, high)


def _pad(device: Device, node: Node, inputs: Values, constants: Any) -> DeviceArray | None:
    values = inputs[0]
    assert values is not None
    if node.get("mode", "constant") != "constant" or node.input(3):
        return None
    pads = node.get("pads", None) if node.version < 11 else constants[1]
    if pads is None:
        return None
    pads = [int(each) for each in np.asarray(pads).reshape(-1)]
    fill: Any = node.get("value", 0.0)
    if node.version >= 11:
        fill = 0.0
        if node.input(2):
            if constants[2] is None:
                return None
            fill = np.asarray(constants[2]).reshape(-1)[0]
    before, after = pads[: values.ndim], pads[values.ndim :]
    if min(pads, default=0) < 0 or len(after) != values.ndim:
        return None
    return padded(device, values, before, after, np.float32(fill))


def padded(
    device: Device, values: DeviceArray, before: Sequence[int], after: Sequence[int], fill: Any
) -> DeviceArray:
    """An array with `fill` around it."""
    shape = [low + size + high for low, size, high in zip(before, values.shape, after, strict=True)]
    around = device.xp.full(shape, fill, values.dtype)
    inside = tuple(slice(low, low + size) for low, size in zip(before, values.shape, strict=True))
    around[inside] = values
    return around


def _reshape(_device: Device, node: Node, inputs: Values, constants: Any) -> DeviceArray | None:
    values = inputs[0]
    assert values is not None
    if node.version < 5 or constants[1] is None:
        return None
    target = [int(size) for size in np.asarray(constants[1]).reshape(-1)]
    if not node.get("allowzero", 0):
        target = [values.shape[at] if size == 0 else size for at, size in enumerate(target)]
    return values.reshape(target)


def _flatten(_device: Device, node: Node, inputs: Values, _constants: Any) -> DeviceArray | None:
    values = inputs[0]
    assert values is not None
    axis = int(node.get("axis", 1))
    return values.reshape(int(np.prod(values.shape[:axis], dtype=np.int64)), -1) if axis > 0 else None


def _identity(_device: Device, _node: Node, inputs: Values, _constants: Any) -> DeviceArray | None:
    return inputs[0]


def _max_pool(device: Device, node: Node, inputs: Values, _constants: Any) -> DeviceArray | None:
    """Two-dimensional windows with explicit padding, in the order of the host."""
    values = inputs[0]
    assert values is not None
    kernel = tuple(node.get("kernel_shape"))
    rare = node.get("ceil_mode", 0) or set(node.get("dilations", (1, 1))) != {1}
    if len(kernel) != 2 or rare or node.get("auto_pad", "NOTSET") not in ("NOTSET", b"NOTSET"):
        return None
    down, across = node.get("strides", (1, 1))
    top, left, bottom, right = node.get("pads", (0, 0, 0, 0))
    if top or left or bottom or right:
        values = padded(device, values, (0, 0, top, left), (0, 0, bottom, right), np.float32(-np.inf))
    height = (values.shape[2] - kernel[0]) // down + 1
    width = (values.shape[3] - kernel[1]) // across + 1
    result: DeviceArray | None = None
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            window = values[
                :,
                :,
                row : row + (height - 1) * down + 1 : down,
                column : column + (width - 1) * across + 1 : across,
            ]
            result = window if result is None else pairs(device, "greater", result, window)
    return None if result is None else device.xp.ascontiguousarray(result)


_OPERATORS: Final[Mapping[str, OnDevice]] = {
    "Add": _of_two("add"),
    "Clip": _clip,
    "Flatten": _flatten,
    "Identity": _identity,
    "MaxPool": _max_pool,
    "Mul": _of_two("multiply"),
    "Pad": _pad,
    "Relu": _relu,
    "Reshape": _reshape,
    "Sub": _of_two("subtract"),
}
