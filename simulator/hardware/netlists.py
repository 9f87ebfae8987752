"""Gate-level netlists: the JSON that Yosys writes, as gates between numbered nets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from simulator.foundation.defects import DefectError
from simulator.foundation.reading.json_documents import parse_json

ZERO: Final = 0
ONE: Final = 1
"""Nets that are constant."""

FLIP_FLOP: Final = "$_DFF_P_"

_INPUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "$_BUF_": ("A",),
    "$_NOT_": ("A",),
    "$_AND_": ("A", "B"),
    "$_NAND_": ("A", "B"),
    "$_OR_": ("A", "B"),
    "$_NOR_": ("A", "B"),
    "$_XOR_": ("A", "B"),
    "$_XNOR_": ("A", "B"),
    "$_ANDNOT_": ("A", "B"),
    "$_ORNOT_": ("A", "B"),
    "$_MUX_": ("A", "B", "S"),
    "$_AOI3_": ("A", "B", "C"),
    "$_OAI3_": ("A", "B", "C"),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate: its kind, the nets that it reads, and the one that it drives."""

    kind: str
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, slots=True)
class Instance:
    """A module inside another one, its ports on nets of the outer one."""

    name: str
    module: str
    ports: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Netlist:
    """A module of gates and flip-flops; nets 0 and 1 are constants, ports are nets from the lowest bit up.

    flip_flops: (D, Q) nets, all on the one clock.
    """

    name: str
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    gates: tuple[Gate, ...]
    flip_flops: tuple[tuple[int, int], ...]
    instances: tuple[Instance, ...]
    nets: int


def read_netlists(text: str, *, clock: str = "clk") -> dict[str, Netlist]:
    """All modules of a JSON netlist by name; the clock is no input.

    Raises:
        DefectError: a cell that is no gate, no flip-flop and no module.
    """
    modules: Mapping[str, Any] = parse_json(text, source="the netlist")["modules"]
    return {name: _netlist(name, body, modules, clock) for name, body in modules.items()}


def _netlist(name: str, body: Mapping[str, Any], modules: Mapping[str, Any], clock: str) -> Netlist:
    gates: list[Gate] = []
    flip_flops: list[tuple[int, int]] = []
    instances: list[Instance] = []
    greatest = ONE
    for label, cell in body["cells"].items():
        kind = str(cell["type"])
        pins = {pin: nets_of(bits) for pin, bits in cell["connections"].items()}
        greatest = max([greatest, *(net for nets in pins.values() for net in nets)])
        if kind in _INPUTS:
            gates.append(Gate(kind, tuple(pins[pin][0] for pin in _INPUTS[kind]), pins["Y"][0]))
        elif kind == FLIP_FLOP:
            flip_flops.append((pins["D"][0], pins["Q"][0]))
        elif kind in modules:
            wired = {pin: nets for pin, nets in pins.items() if pin != clock}
            instances.append(Instance(str(label), kind, wired))
        elif not kind.startswith("$scopeinfo"):
            message = f"module {name!r} has a cell of unknown type {kind!r}"
            raise DefectError(message)
    ports = {"input": dict[str, tuple[int, ...]](), "output": dict[str, tuple[int, ...]]()}
    for port, about in body["ports"].items():
        nets = nets_of(about["bits"])
        greatest = max([greatest, *nets])
        if port != clock:
            ports[about["direction"]][port] = nets
    return Netlist(
        name,
        ports["input"],
        ports["output"],
        tuple(gates),
        tuple(flip_flops),
        tuple(instances),
        greatest + 1,
    )


def nets_of(bits: Sequence[int | str]) -> tuple[int, ...]:
    """Nets of a port or pin as Yosys writes them: numbers, or constants as text."""
    constants = {"0": ZERO, "1": ONE, "x": ZERO, "z": ZERO}
    return tuple(constants[bit] if isinstance(bit, str) else int(bit) for bit in bits)


def settling_order(
    inputs: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]], known: Iterable[int]
) -> list[int] | None:
    """Places of elements in an order in which each finds its inputs settled.

    Args:
        inputs: the nets that each element reads.
        outputs: the nets that each element drives.
        known: nets that are settled before.

    Returns:
        None where there is no such order: a loop, or a net without a driver.
    """
    settled = set(known)
    readers: dict[int, list[int]] = defaultdict(list)
    waiting = []
    for place, nets in enumerate(inputs):
        missing = set(nets) - settled
        waiting.append(len(missing))
        for net in missing:
            readers[net].append(place)
    ready = [place for place, count in enumerate(waiting) if not count]
    order = []
    while ready:
        order.append(ready.pop())
        for net in outputs[order[-1]]:
            for place in readers[net]:
                waiting[place] -= 1
                if not waiting[place]:
                    ready.append(place)
    return order if len(order) == len(inputs) else None


def flattened(top: str, modules: Mapping[str, Netlist]) -> Netlist:
    """A module with all modules inside it put in their places."""
    outer = modules[top]
    gates, flip_flops, nets = list(outer.gates), list(outer.flip_flops), outer.nets
    for instance in outer.instances:
        inner = flattened(instance.module, modules)
        place = {ZERO: ZERO, ONE: ONE}
        for port, inner_nets in inner.inputs.items():
            place.update(zip(inner_nets, instance.ports[port], strict=True))
        copies: list[Gate] = []
        for port, inner_nets in inner.outputs.items():
            for net, outside in zip(inner_nets, instance.ports[port], strict=True):
                if net in place:  # an input, a constant, or a net that leaves twice
                    copies.append(Gate("$_BUF_", (net,), outside))
                else:
                    place[net] = outside
        first = nets

        def placed(net: int, place: dict[int, int] = place, first: int = first) -> int:
            return place.get(net, first + net)

        gates += [
            Gate(gate.kind, tuple(placed(net) for net in gate.inputs), placed(gate.output))
            for gate in inner.gates
        ]
        gates += [Gate(gate.kind, (placed(gate.inputs[0]),), gate.output) for gate in copies]
        flip_flops += [(placed(d), placed(q)) for d, q in inner.flip_flops]
        nets += inner.nets
    return Netlist(top, outer.inputs, outer.outputs, tuple(gates), tuple(flip_flops), (), nets)
