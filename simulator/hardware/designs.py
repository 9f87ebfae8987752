"""Modules with their ports: what the RTL of a MAC consists of, before it becomes text."""

from __future__ import annotations

from dataclasses import dataclass
from re import sub

from amaranth import ClockDomain, Module, Signal
from amaranth.back import rtlil

from simulator.numerics import Mac

CLOCK = "clk"


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a module, in bits."""

    name: str
    bits: int


@dataclass(frozen=True, slots=True)
class Design:
    """A module as RTLIL text, with its ports in order; the clock is no input."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    has_clock: bool
    text: str


class DesignBuilder:
    """Collects the ports of a module while its circuit is described.

    module: the circuit; its registers are clocked by `clk` and have no reset but what the circuit says.
    """

    def __init__(self, name: str, *, has_clock: bool = False) -> None:
        self.name = name
        self.module = Module()
        self._signals: list[Signal] = []
        self._inputs: list[Port] = []
        self._outputs: list[Port] = []
        self._has_clock = has_clock
        if has_clock:
            domain = ClockDomain("sync", reset_less=True)
            self.module.domains += domain
            self._signals.append(domain.clk)

    def input(self, name: str, bits: int) -> Signal:
        """An input; one of 0 bits is no port."""
        return self._port(name, bits, self._inputs)

    def output(self, name: str, bits: int) -> Signal:
        """An output; one of 0 bits is no port."""
        return self._port(name, bits, self._outputs)

    def _port(self, name: str, bits: int, ports: list[Port]) -> Signal:
        signal = Signal(bits, name=name)
        if bits:
            ports.append(Port(name, bits))
            self._signals.append(signal)
        return signal

    def build(self) -> Design:
        """The module as text."""
        text = rtlil.convert(self.module, ports=self._signals, name=self.name, emit_src=False)
        return Design(self.name, tuple(self._inputs), tuple(self._outputs), self._has_clock, text)


def identifier(mac: Mac) -> str:
    """The MAC's name as the beginning of module names: letters, digits and underscores."""
    name = sub(r"[^A-Za-z0-9]+", "_", mac.name).strip("_")
    return name if name[:1].isalpha() else f"mac_{name}"
