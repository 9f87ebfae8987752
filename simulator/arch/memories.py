"""The on-chip memories as data: which there are, what each holds, how large it is, how it is accessed.

Everything else asks `SramsConfig.of` or `SramsConfig.memories`: the machine for room and ports, the prices
for what a memory is built of. So a memory that several tensors share is a section of the file and
no other code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from simulator.arch.frozen_section import Section
from simulator.foundation import UserError
from simulator.operands import OPERANDS, Operand

_BYTES_PER_KIB: Final = 1024
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")

Operands = Annotated[
    tuple[Operand, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]
"""Some of the tensors; one alone may be written without a list."""

PortUse = Literal["shared", "own"]


class SramConfig(Section):
    """One on-chip memory, named `ifmap`, `filter`, `ofmap`, or anything else with `holds`."""

    holds: Operands = Field(
        (),
        description="Tensors that it holds, any of `ifmap`, `filter`, `ofmap`; left out: the one it is named "
        "after. Every tensor has one memory; one that no section holds has a memory of its own with the "
        "defaults.",
    )
    capacity_kib: float = Field(256, gt=0, le=1048576, description="Capacity, both halves together.")
    shares_kib: dict[Operand, Annotated[float, Field(gt=0, le=1048576)]] = Field(
        default_factory=dict,
        description="Of a memory that holds several tensors, the part of the capacity that each has for "
        "itself; empty: the tiles of all share the capacity as each layer needs it.",
    )
    word_bits: int = Field(
        256,
        ge=8,
        le=1048576,
        description="Bits of one access; left out of a file: what one array edge takes in a cycle, the "
        "widest of those that it serves.",
    )
    macro_word_bits: int = Field(
        256,
        ge=1,
        le=1048576,
        description="Widest word of one macro; a wider word is macros side by side, of which only those that "
        "are touched switch.",
    )
    ports: int = Field(1, ge=1, le=8, description="Accesses per cycle.")
    port_use: PortUse = Field(
        "shared",
        description="Of a memory that holds several tensors: `shared`: they take turns at the ports; `own`: "
        "each has `ports` of its own, in banks of its own.",
    )
    double_buffered: bool = Field(
        default=True, description="One half is filled while the other is used; of every tensor that it holds."
    )

    @model_serializer(mode="wrap")
    def _without_what_only_shared_memories_have(
        self, handler: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        said = {"holds": self.holds, "shares_kib": self.shares_kib, "port_use": self.port_use != "shared"}
        return {name: value for name, value in fields.items() if said.get(name, True)}

    @property
    def capacity_bytes(self) -> int:
        """Capacity in bytes, both halves together."""
        return int(self.capacity_kib * _BYTES_PER_KIB)

    @property
    def touched_bits(self) -> int:
        """Bits of one macro's word, which an access of any part of it switches."""
        return min(self.word_bits, self.macro_word_bits)

    @property
    def all_ports(self) -> int:
        """Ports of all tensors together: as many banks."""
        return self.ports * (len(self.holds) if self.port_use == "own" and len(self.holds) > 1 else 1)


@dataclass(frozen=True, slots=True)
class OnChipMemory:
    """One memory of an architecture under its name, and the tensors that it holds."""

    name: str
    holds: tuple[Operand, ...]
    config: SramConfig

    @property
    def field(self) -> str:
        """Its section of the architecture file."""
        return f"sram.{self.name}"

    @property
    def component(self) -> str:
        """What its energy and area are called in results."""
        return f"sram_{self.name}"

    @property
    def is_split_freely(self) -> bool:
        """Whether several tensors share its capacity as each layer needs it."""
        return len(self.holds) > 1 and not self.config.shares_kib

    @property
    def shares_ports(self) -> bool:
        """Whether several tensors take turns at its ports."""
        return len(self.holds) > 1 and self.config.port_use == "shared"

    def capacity_bytes(self, operand: Operand) -> int:
        """The most bytes that a tensor's tiles may take: its share, or all."""
        share_kib = self.config.shares_kib.get(operand)
        return self.config.capacity_bytes if share_kib is None else int(share_kib * _BYTES_PER_KIB)

    def first_byte(self, operand: Operand) -> int:
        """Where a tensor's share begins; 0 where it has none."""
        shares = self.config.shares_kib
        before = self.holds[: self.holds.index(operand)] if shares else ()
        return sum(self.capacity_bytes(other) for other in before)

    def tile_bytes(self, operand: Operand) -> int:
        """Bytes that one tile of a tensor may take: half of its room when double buffered."""
        return self.capacity_bytes(operand) // (2 if self.config.double_buffered else 1)

    def capacity_field(self, operand: Operand) -> str:
        """The field that gives a tensor more room."""
        return (
            f"{self.field}.shares_kib.{operand}" if self.config.shares_kib else f"{self.field}.capacity_kib"
        )


class SramsConfig(RootModel[dict[str, SramConfig]]):
    """The on-chip memories by name, in the order of the tensors that they hold."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _every_tensor_has_one(cls, sections: Any) -> Any:
        """Add a memory of its own for every tensor that no section holds or is named after."""
        if not isinstance(sections, dict):
            return sections
        held = {name: _held(name, section) for name, section in sections.items()}
        whole = dict(sections)
        for operand in OPERANDS:
            if operand not in sections and not any(operand in holds for holds in held.values()):
                whole[operand] = {}
        places = {name: min(map(_place, held.get(name, (name,))), default=len(OPERANDS)) for name in whole}
        return {name: whole[name] for name in sorted(whole, key=lambda name: places[name])}

    def __getitem__(self, name: str) -> SramConfig:
        """One memory by its name."""
        return self.root[name]

    def with_memories(self, memories: Mapping[str, SramConfig]) -> Self:
        """The same with some memories in place of those of their names."""
        return self.model_copy(update={"root": {**self.root, **memories}})

    @property
    def memories(self) -> tuple[OnChipMemory, ...]:
        """Every memory, in the order of the tensors that they hold."""
        return tuple(
            OnChipMemory(name, _in_order(_held(name, config)), config) for name, config in self.root.items()
        )

    def of(self, operand: Operand) -> OnChipMemory:
        """The memory that holds a tensor."""
        return next(memory for memory in self.memories if operand in memory.holds)

    def by_operand(self) -> Mapping[Operand, OnChipMemory]:
        """The memory of every tensor."""
        return {operand: self.of(operand) for operand in OPERANDS}

    def require_possible(self) -> None:
        """Check names, tensors and shares.

        Raises:
            UserError: the dotted field of the first section that cannot be.
        """
        holders: dict[Operand, OnChipMemory] = {}
        for memory in self.memories:
            _require_tensors(memory)
            for operand in memory.holds:
                if operand in holders:
                    raise UserError(
                        f"{operand} is in {holders[operand].field} as well; a tensor has one memory",
                        location=f"{memory.field}.holds" if memory.config.holds else memory.field,
                        value=", ".join(memory.holds),
                        allowed="every tensor in one memory only",
                    )
                holders[operand] = memory
            _require_shares(memory)


def _held(name: Any, section: Any) -> tuple[Any, ...]:
    """Tensors of a section as it stands in a file, or of a memory; whatever it says where it is a mistake."""
    holds = section.get("holds") if isinstance(section, dict) else getattr(section, "holds", ())
    if isinstance(holds, str):
        return (holds,)
    if isinstance(holds, list | tuple) and holds:
        return tuple(holds)
    return (name,) if name in OPERANDS else ()


def _place(operand: Any) -> int:
    return OPERANDS.index(operand) if operand in OPERANDS else len(OPERANDS)


def _in_order(holds: tuple[Operand, ...]) -> tuple[Operand, ...]:
    return tuple(sorted(holds, key=OPERANDS.index))


def _require_tensors(memory: OnChipMemory) -> None:
    """A memory with a name that components can have, that holds something, each tensor once."""
    name, holds = memory.name, memory.holds
    if not holds:
        raise UserError(
            "holds no tensor; say which with `holds`",
            location=memory.field,
            value=name,
            candidates=OPERANDS,
        )
    if not _NAME.fullmatch(name):
        raise UserError(
            "is no name of a memory",
            location="sram",
            value=name,
            allowed="up to 40 small letters, digits and underscores, a letter first",
        )
    if len(set(holds)) < len(holds):
        raise UserError(
            "names a tensor twice", location=f"{memory.field}.holds", value=", ".join(memory.config.holds)
        )
    if name in OPERANDS and name not in holds:
        raise UserError(
            f"a memory called {name} must hold {name}",
            location=f"{memory.field}.holds",
            value=", ".join(memory.config.holds),
        )


def _require_shares(memory: OnChipMemory) -> None:
    """Shares of all tensors that it holds and of no others, which together fit the capacity."""
    config, field = memory.config, f"{memory.field}.shares_kib"
    if not config.shares_kib:
        return
    for operand in _disagreeing(config.shares_kib, memory.holds):
        missing = operand in memory.holds
        raise UserError(
            "lacks a tensor that the memory holds" if missing else "gives a share to a tensor of another one",
            location=field,
            value=operand,
            allowed=f"one share each for {', '.join(memory.holds)}",
        )
    together = sum(memory.capacity_bytes(operand) for operand in memory.holds)
    if together > config.capacity_bytes:
        raise UserError(
            f"shares are {together / _BYTES_PER_KIB:g} KiB together, more than the capacity",
            location=field,
            value=dict(config.shares_kib),
            allowed=f"at most {config.capacity_kib:g} KiB",
        )


def _disagreeing(shares: Mapping[Operand, float], holds: tuple[Operand, ...]) -> Iterator[Operand]:
    return (operand for operand in OPERANDS if (operand in shares) != (operand in holds))
