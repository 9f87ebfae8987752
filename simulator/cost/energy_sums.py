"""Energy over any number of layers, in the space of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.cost.price_lines import Action, LayerEnergy
from simulator.formation import UnitPrice


@dataclass(frozen=True, slots=True)
class PartEnergies:
    """A layer's whole femtojoules by component, what of them leaked, and their bound; None: not priced."""

    parts_fj: Mapping[str, int | None]
    static_fj: int | None
    bound_fj: int | None


class EnergySum:
    """The sum of layers' energies, and every action that any of them has, under a name for its unit price.

    A component that is not priced in one layer is not priced in the sum. Actions that are called the same and
    cost the same have one unit price; where MACs that are called alike cost differently, the later ones are
    numbered.
    """

    def __init__(self) -> None:
        self.parts_fj: dict[str, int | None] = {}
        self.static_fj: int | None = 0
        self.bound_fj: int | None = 0
        self._actions: dict[int, Action] = {}
        self._names: dict[int, str] = {}
        self._units: dict[str, UnitPrice] = {}

    @property
    def actions(self) -> list[Action]:
        """Every action once, in the order of first use."""
        return list(self._actions.values())

    @property
    def unit_prices(self) -> list[UnitPrice]:
        """Every unit price once, in the order of first use."""
        return list(self._units.values())

    def name_of(self, action: Action) -> str:
        """What the unit price of a noted action is called."""
        return self._names[id(action)]

    def parts_of(self, energy: LayerEnergy) -> PartEnergies:
        """What to add for a layer; the layer's actions are noted."""
        for line in energy.lines:
            if id(line.action) not in self._actions:
                self._note(line.action)
        return PartEnergies(energy.parts_fj, energy.static_fj, energy.bound_fj)

    def _note(self, action: Action) -> None:
        unit, number = action.unit_price(action.unit_name), 1
        while self._units.setdefault(unit.name, unit) != unit:
            number += 1
            unit = action.unit_price(f"{action.unit_name} #{number}")
        self._actions[id(action)] = action
        self._names[id(action)] = unit.name

    def add(self, layer: PartEnergies) -> None:
        """Add a layer."""
        for component, more in layer.parts_fj.items():
            self.parts_fj[component] = _sum(self.parts_fj.get(component, 0), more)
        self.static_fj = _sum(self.static_fj, layer.static_fj)
        self.bound_fj = _sum(self.bound_fj, layer.bound_fj)


def _sum(before: int | None, more: int | None) -> int | None:
    return None if before is None or more is None else before + more
