"""What the zoo measured, kept as two tables that tests and docs read without PyTorch."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tools.zoo.products import Product, Products

ROOT = Path(__file__).resolve().parent.parent.parent
MEASUREMENTS = ROOT / "tools" / "data" / "zoo.csv"
PRODUCTS = ROOT / "tests" / "reference" / "executed_products.csv"
_PRODUCT_COLUMNS = ("network", "count", "groups", "m", "n", "k")


@dataclass(frozen=True, slots=True)
class Record:
    """One measured architecture; MACs by executing it, by PyTorch's own counter, and as read from ONNX."""

    name: str
    family: str
    inputs: str
    exporter: str
    layers: int
    executed_macs: int
    counter_macs: int
    read_macs: int
    published_gmacs: str
    agreement: str
    versions: str
    date: str
    note: str


def read_records(path: Path = MEASUREMENTS) -> list[Record]:
    """All measured architectures, in the file's order; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [_record(row) for row in csv.DictReader(file)]


def _record(row: Mapping[str, str]) -> Record:
    values: dict[str, Any] = {
        one.name: int(row[one.name]) if one.type == "int" else row[one.name] for one in fields(Record)
    }
    return Record(**values)


def write_records(records: Iterable[Record], path: Path = MEASUREMENTS) -> None:
    """Replace the table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [one.name for one in fields(Record)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(record) for record in records)


def read_products(path: Path = PRODUCTS) -> dict[str, Products]:
    """The executed products of each bundled network."""
    found: dict[str, Products] = {}
    if not path.exists():
        return found
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            product = Product(*(int(row[column]) for column in _PRODUCT_COLUMNS[2:]))
            found.setdefault(row["network"], Counter())[product] = int(row["count"])
    return found


def write_products(networks: dict[str, Products], path: Path = PRODUCTS) -> None:
    """Replace the table; networks and products in order, so that a new run changes only what differs."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_PRODUCT_COLUMNS)
        for network, products in sorted(networks.items()):
            writer.writerows((network, count, *product) for product, count in sorted(products.items()))
