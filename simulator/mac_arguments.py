"""MACs as arguments of the Python interface: checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simulator.arch import ArchConfig
from simulator.cost.run_prices import PriceBook
from simulator.cost.vocabulary import PE_ROWS
from simulator.foundation import UserError
from simulator.numerics.mac_setting import MacChoice, mac_setting
from simulator.numerics.mac_spec import BY_KIND
from simulator.simulation import configure


def require_priced_variants(
    name: str, mac: MacChoice, arch: str | Path | ArchConfig, overrides: Mapping[str, Any] | None = None
) -> None:
    """Refuse a MAC whose `price` names a variant that no price table of the architecture has.

    An architecture file may name such a variant: its results say what is not priced and why. In a call the
    name is an argument, and a misspelt one is an error.

    Args:
        name: of the argument.
        mac: the MAC; only a mapping or an object can name variants.
        arch: the architecture whose tables price it.
        overrides: architecture fields by dotted name, which may name other tables.

    Raises:
        UserError: the field, the variant, those that there are, and the nearest; or an architecture that
            cannot be used.
    """
    if named := _named_variants(mac):
        tables = configure(arch, overrides).tables
        _require_known(name, named, tables, "no price table of the architecture has rows of this variant")


def require_bundled_variants(name: str, mac: MacChoice) -> None:
    """Refuse a MAC whose `price` names a variant of no bundled table, where no architecture names others.

    Inference prices nothing. A misspelt name would have no effect there, and none in its result would tell.

    Args:
        name: of the argument.
        mac: the MAC; only a mapping or an object can name variants.

    Raises:
        UserError: the field, the variant, those that there are, and the nearest.
    """
    if named := _named_variants(mac):
        _require_known(
            name,
            named,
            ArchConfig().tables,
            "inference prices nothing and has no tables but the bundled ones, which have no rows of this "
            "variant: leave `price` out",
        )


def _named_variants(mac: MacChoice) -> dict[str, str]:
    """The variants that a MAC names, by field; `composed` needs no row."""
    setting = mac_setting(mac)
    price = setting.get("price") if isinstance(setting, Mapping) else None
    wanted = {"price": price} if isinstance(price, str) else {}
    if isinstance(price, Mapping):
        wanted = {f"price.{figure}": variant for figure, variant in price.items()}
    return {field: each for field, each in wanted.items() if isinstance(each, str) and each not in BY_KIND}


def _require_known(name: str, named: Mapping[str, str], tables: Iterable[str], problem: str) -> None:
    book = PriceBook.load(tables).tables
    known = {row.variant for table in book for row in table.rows.values() if row.component in PE_ROWS}
    for field, variant in named.items():
        if variant not in known:
            raise UserError(problem, location=f"{name}.{field}", value=variant, candidates={*known, *BY_KIND})
