"""LSTM, GRU and RNN step by step.

The product of the inputs of all steps is one product. The product of the state is one for each step, because
a step needs the result of the one before it; all steps share their weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simulator.workload.onnx.builder import Builder, UnsupportedError
from simulator.workload.onnx.graph import OWN_DOMAIN, Node
from simulator.workload.onnx.matrix_rules import write_matmul

_DEFAULT_ALPHA = {"LeakyRelu": 0.01, "ThresholdedRelu": 1.0, "HardSigmoid": 0.2, "Elu": 1.0}
_DEFAULT_BETA = {"HardSigmoid": 0.5}
_FUNCTIONS = """
    Relu Tanh Sigmoid LeakyRelu ThresholdedRelu HardSigmoid Elu Softsign Softplus Affine ScaledTanh
    """
_NAMES = {each.lower(): each for each in _FUNCTIONS.split()}


@dataclass(frozen=True, slots=True)
class _Cell:
    """What one direction of a recurrent operator works with; names of tensors."""

    node: Node
    label: str
    steps: int
    hidden: int
    functions: tuple[Callable[[Builder, str], str], ...]
    inputs: str
    recurrent: str
    recurrent_bias: str
    peepholes: tuple[str, ...]
    backwards: bool
    quantize: bool
    clip: float | None


Step = Callable[[Builder, _Cell, str, tuple[str, ...], int], tuple[str, ...]]
"""The next state, from the step's share of the product of the inputs and the state before."""


def lstm(builder: Builder, node: Node) -> None:
    """Gates in the order input, output, forget, cell; state: hidden and cell."""
    _unroll(builder, node, _lstm_step, gates=4, states=2, default=("Sigmoid", "Tanh", "Tanh"))


def dynamic_quantize_lstm(builder: Builder, node: Node) -> None:
    """ONNX Runtime's LSTM with integer weights [D, I, 4H]; what enters a product is quantized by its range.

    Inputs 8 to 11: scale and zero point of the weights of the inputs, then of those of the state.
    """
    reals = []
    for position, scale in ((1, 8), (2, 10)):
        parts = []
        for index in range(builder.shape(node.inputs[position])[0]):
            codes, factor, zero = (
                _part(builder, name, index)
                for name in (node.inputs[position], *node.inputs[scale : scale + 2])
            )
            real = builder.op("DequantizeLinear", codes, factor, zero, axis=1)
            turned = builder.op("Transpose", real, perm=(1, 0))
            parts.append(builder.op("Unsqueeze", turned, builder.integers(0)))
        reals.append(builder.op("Concat", *parts, axis=0))
    inputs = (node.inputs[0], *reals, *node.inputs[3:8])
    as_lstm = replace(node, operator="LSTM", domain="", inputs=inputs)
    _unroll(
        builder,
        as_lstm,
        _lstm_step,
        gates=4,
        states=2,
        default=("Sigmoid", "Tanh", "Tanh"),
        quantize=True,
    )


def _quantized(builder: Builder, name: str) -> str:
    """A tensor rounded to 8 bits over its own range."""
    parts = [f"{name}::{part}_{len(builder.nodes)}" for part in ("codes", "scale", "zero")]
    builder.ops("DynamicQuantizeLinear", name, outputs=parts)
    return builder.op("DequantizeLinear", *parts)


def gru(builder: Builder, node: Node) -> None:
    """Gates in the order update, reset, hidden."""
    _unroll(builder, node, _gru_step, gates=3, states=1, default=("Sigmoid", "Tanh"))


def rnn(builder: Builder, node: Node) -> None:
    """One gate."""
    _unroll(builder, node, _rnn_step, gates=1, states=1, default=("Tanh",))


def _unroll(
    builder: Builder,
    node: Node,
    step: Step,
    *,
    gates: int,
    states: int,
    default: tuple[str, ...],
    quantize: bool = False,
) -> None:
    batch_first = bool(node.get("layout", 0))
    x = builder.op("Transpose", node.inputs[0], perm=(1, 0, 2)) if batch_first else node.inputs[0]
    steps, batch, size = builder.shape(x)
    directions, rows, hidden = builder.shape(node.inputs[2])
    if rows != gates * hidden or builder.shape(node.inputs[1]) != (directions, rows, size):
        given = builder.shape(node.inputs[1])
        raise UnsupportedError(f"weights {given} do not fit input {(steps, batch, size)}")
    lengths = node.input(4)
    initial = [node.input(5), node.input(6)][:states]
    direction = node.get("direction", "forward")
    outputs: list[list[str]] = []
    for index in range(directions):
        backwards = direction == "reverse" or index == 1
        label = node.label if directions == 1 else f"{node.label}/{('forward', 'backward')[index]}"
        source = x
        if backwards and lengths:
            source = builder.op("ReverseSequence", x, _int64(builder, lengths), time_axis=0, batch_axis=1)
        cell = _cell(
            builder, node, index, label, source, steps, gates, default, backwards=backwards, quantize=quantize
        )
        state = tuple(
            _initial(builder, name, index, x, batch, hidden, batch_first=batch_first) for name in initial
        )
        outputs.append(_direction(builder, cell, step, state, lengths, batch))
    _join(builder, node, outputs, batch_first=batch_first)


def _direction(
    builder: Builder, cell: _Cell, step: Step, state: tuple[str, ...], lengths: str, batch: int
) -> list[str]:
    """All steps of one direction: the sequence of hidden states if asked for, then the last states."""
    order = range(cell.steps)
    if cell.backwards and not lengths:
        order = order[::-1]
    hidden: dict[int, str] = {}
    for index, position in enumerate(order):
        part = builder.op("Gather", cell.inputs, builder.constant(position, np.int64), axis=0)
        after = step(builder, cell, part, state, index)
        if lengths:
            inside = builder.op("Less", builder.constant(position, np.int64), _int64(builder, lengths))
            inside = builder.op("Reshape", inside, builder.integers(batch, 1))
            zero = builder.constant(0, np.float32)
            hidden[position] = builder.op("Where", inside, after[0], zero)
            state = tuple(
                builder.op("Where", inside, new, old) for new, old in zip(after, state, strict=True)
            )
        else:
            hidden[position], state = after[0], after
    if not cell.node.output(0):
        return ["", *state]
    axes = builder.integers(0)
    rows = [builder.op("Unsqueeze", hidden[position], axes) for position in range(cell.steps)]
    sequence = builder.op("Concat", *rows, axis=0)
    if cell.backwards and lengths:
        sequence = builder.op(
            "ReverseSequence", sequence, _int64(builder, lengths), time_axis=0, batch_axis=1
        )
    return [sequence, *state]


def _join(builder: Builder, node: Node, outputs: list[list[str]], *, batch_first: bool) -> None:
    """Results of all directions: the sequence [T, D, B, H], last states [D, B, H]; or the batch first."""
    for position, result in enumerate(node.outputs):
        if not result:
            continue
        is_sequence = position == 0
        axis = (2 if batch_first else 1) if is_sequence else (1 if batch_first else 0)
        parts = [each[position] for each in outputs]
        if is_sequence and batch_first:
            parts = [builder.op("Transpose", part, perm=(1, 0, 2)) for part in parts]
        axes = builder.integers(axis)
        if len(parts) == 1:
            builder.ops("Unsqueeze", parts[0], axes, outputs=[result])
        else:
            rows = [builder.op("Unsqueeze", part, axes) for part in parts]
            builder.ops("Concat", *rows, outputs=[result], axis=axis)


def _cell(
    builder: Builder,
    node: Node,
    index: int,
    label: str,
    x: str,
    steps: int,
    gates: int,
    default: tuple[str, ...],
    *,
    backwards: bool,
    quantize: bool,
) -> _Cell:
    hidden = builder.shape(node.inputs[2])[2]
    weights, recurrent = (
        builder.op("Transpose", _part(builder, node.inputs[position], index), perm=(1, 0))
        for position in (1, 2)
    )
    entering = _quantized(builder, x) if quantize else x
    inputs = write_matmul(builder, entering, weights, label=f"{label}/input")
    recurrent_bias = ""
    if node.input(3):
        both = _part(builder, node.inputs[3], index)
        size = gates * hidden
        of_inputs = _slice(builder, both, 0, size)
        of_state = _slice(builder, both, size, 2 * size)
        if node.operator == "GRU" and node.get("linear_before_reset", 0):
            recurrent_bias = _slice(builder, of_state, 2 * hidden, size)
            zeros = builder.constant(np.zeros(hidden, np.float32))
            of_gates = _slice(builder, of_state, 0, 2 * hidden)
            of_state = builder.op("Concat", of_gates, zeros, axis=0)
        inputs = builder.op("Add", inputs, builder.op("Add", of_inputs, of_state))
    peepholes: tuple[str, ...] = ()
    if node.input(7):
        whole = _part(builder, node.inputs[7], index)
        peepholes = tuple(_slice(builder, whole, part * hidden, (part + 1) * hidden) for part in range(3))
    functions = _functions(node, index, default)
    clip = node.get("clip")
    return _Cell(
        node,
        label,
        steps,
        hidden,
        functions,
        inputs,
        recurrent,
        recurrent_bias,
        peepholes,
        backwards,
        quantize,
        clip,
    )


def _initial(
    builder: Builder, name: str, index: int, x: str, batch: int, hidden: int, *, batch_first: bool
) -> str:
    """A state before the first step. It counts as data even where it is zero: the hardware does not know."""
    if not name:
        start = builder.constant(np.zeros((batch, hidden), np.float32))
    else:
        if batch_first:
            name = builder.op("Transpose", name, perm=(1, 0, 2))
        start = _part(builder, name, index)
    return builder.op("AsData", start, x, domain=OWN_DOMAIN) if builder.is_constant(start) else start


def _part(builder: Builder, name: str, index: int) -> str:
    return builder.op("Gather", name, builder.constant(index, np.int64), axis=0)


def _slice(builder: Builder, name: str, start: int, end: int) -> str:
    axis = len(builder.shape(name)) - 1
    return builder.op("Slice", name, builder.integers(start), builder.integers(end), builder.integers(axis))


def _int64(builder: Builder, name: str) -> str:
    return builder.op("Cast", name, to=7)


def _state_product(builder: Builder, cell: _Cell, state: str, weights: str, step: int, part: str) -> str:
    if cell.quantize:
        state = _quantized(builder, state)
    return write_matmul(builder, state, weights, label=f"{cell.label}/{part}", step=step)


def _gate_parts(builder: Builder, name: str, hidden: int, gates: int) -> list[str]:
    return [_slice(builder, name, gate * hidden, (gate + 1) * hidden) for gate in range(gates)]


def _clipped(builder: Builder, cell: _Cell, name: str) -> str:
    if cell.clip is None:
        return name
    low, high = builder.constant(-cell.clip, np.float32), builder.constant(cell.clip, np.float32)
    return builder.op("Clip", name, low, high)


def _lstm_step(
    builder: Builder, cell: _Cell, part: str, state: tuple[str, ...], step: int
) -> tuple[str, ...]:
    hidden, memory = state
    product = _state_product(builder, cell, hidden, cell.recurrent, step, "recurrent")
    sums = builder.op("Add", part, product)
    i, o, f, c = _gate_parts(builder, sums, cell.hidden, 4)
    gate, candidate, squash = cell.functions
    if cell.peepholes:
        i = builder.op("Add", i, builder.op("Mul", cell.peepholes[0], memory))
        f = builder.op("Add", f, builder.op("Mul", cell.peepholes[2], memory))
    i = gate(builder, _clipped(builder, cell, i))
    if cell.node.get("input_forget", 0):
        f = builder.op("Sub", builder.constant(1, np.float32), i)
    else:
        f = gate(builder, _clipped(builder, cell, f))
    c = candidate(builder, _clipped(builder, cell, c))
    memory = builder.op("Add", builder.op("Mul", f, memory), builder.op("Mul", i, c))
    if cell.peepholes:
        o = builder.op("Add", o, builder.op("Mul", cell.peepholes[1], memory))
    o = gate(builder, _clipped(builder, cell, o))
    return builder.op("Mul", o, squash(builder, memory)), memory


def _gru_step(builder: Builder, cell: _Cell, part: str, state: tuple[str, ...], step: int) -> tuple[str, ...]:
    (hidden,) = state
    gate, candidate = cell.functions
    size = cell.hidden
    z_in, r_in, h_in = _gate_parts(builder, part, size, 3)
    if cell.node.get("linear_before_reset", 0):
        product = _state_product(builder, cell, hidden, cell.recurrent, step, "recurrent")
        z_state, r_state, h_state = _gate_parts(builder, product, size, 3)
        if cell.recurrent_bias:
            h_state = builder.op("Add", h_state, cell.recurrent_bias)
    else:
        gates = _slice(builder, cell.recurrent, 0, 2 * size)
        product = _state_product(builder, cell, hidden, gates, step, "gates")
        z_state, r_state = _gate_parts(builder, product, size, 2)
        h_state = ""
    z = gate(builder, _clipped(builder, cell, builder.op("Add", z_in, z_state)))
    r = gate(builder, _clipped(builder, cell, builder.op("Add", r_in, r_state)))
    if h_state:
        h_state = builder.op("Mul", r, h_state)
    else:
        weights = _slice(builder, cell.recurrent, 2 * size, 3 * size)
        reset = builder.op("Mul", r, hidden)
        h_state = _state_product(builder, cell, reset, weights, step, "candidate")
    h = candidate(builder, _clipped(builder, cell, builder.op("Add", h_in, h_state)))
    kept = builder.op("Mul", z, hidden)
    new = builder.op("Mul", builder.op("Sub", builder.constant(1, np.float32), z), h)
    return (builder.op("Add", new, kept),)


def _rnn_step(builder: Builder, cell: _Cell, part: str, state: tuple[str, ...], step: int) -> tuple[str, ...]:
    product = _state_product(builder, cell, state[0], cell.recurrent, step, "recurrent")
    sums = builder.op("Add", part, product)
    return (cell.functions[0](builder, _clipped(builder, cell, sums)),)


def _functions(node: Node, index: int, default: tuple[str, ...]) -> tuple[Callable[[Builder, str], str], ...]:
    """The activation functions of one direction; alpha and beta stand in lists of their own, in order."""
    count = len(default)
    names = node.get("activations") or default * 2
    alphas, betas = list(node.get("activation_alpha", ())), list(node.get("activation_beta", ()))
    found = []
    for position, text in enumerate(names):
        name = _NAMES.get(text.lower())
        if name is None:
            raise UnsupportedError(f"activation {text!r}")
        takes_alpha = name in _DEFAULT_ALPHA or name in ("Affine", "ScaledTanh")
        takes_beta = name in _DEFAULT_BETA or name in ("Affine", "ScaledTanh")
        alpha = alphas.pop(0) if alphas and takes_alpha else _DEFAULT_ALPHA.get(name, 1.0)
        beta = betas.pop(0) if betas and takes_beta else _DEFAULT_BETA.get(name, 0.0)
        if position // count == index:
            found.append(_function(name, alpha, beta))
    return tuple(found)


def _function(name: str, alpha: float, beta: float) -> Callable[[Builder, str], str]:
    if name == "Affine":
        return lambda builder, x: builder.op(
            "Add",
            builder.op("Mul", x, builder.constant(alpha, np.float32)),
            builder.constant(beta, np.float32),
        )
    if name == "ScaledTanh":
        return lambda builder, x: builder.op(
            "Mul",
            builder.op("Tanh", builder.op("Mul", x, builder.constant(beta, np.float32))),
            builder.constant(alpha, np.float32),
        )
    attributes: dict[str, Any] = {}
    if name in _DEFAULT_ALPHA:
        attributes["alpha"] = alpha
    if name in _DEFAULT_BETA:
        attributes["beta"] = beta
    return lambda builder, x: builder.op(name, x, **attributes)
