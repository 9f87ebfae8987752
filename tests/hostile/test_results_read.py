"""A result is checked when it is read: every figure is what it follows from, finite and in its range."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from simulator.foundation import UserError
from simulator.result import Result, load_result
from simulator.result_seal import require_seal, seal
from simulator.simulation import configure, simulate
from simulator.workload import load_network

NETWORK = """
name: two
source: written for this test
layers:
  - {name: conv1, conv: {ifmap: 6, channels: 2, filters: 4, kernel: 3}}
  - {name: fc1, inputs: [conv1], fc: {k: 64, n: 10}}
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("result") / "two.yaml"
    path.write_text(NETWORK)
    read: dict[str, Any] = json.loads(simulate(load_network(path), configure("int8_32x32", {})).to_json())
    return read


def refused(document: dict[str, Any], folder: Path) -> str:
    path = folder / "r.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UserError) as caught:
        load_result(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message


def changed(document: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    *folders, last = field.split(".")
    place: Any = copy
    for folder in folders:
        place = place[int(folder)] if isinstance(place, list) else place[folder]
    place[last] = value
    return copy


def test_what_the_simulator_writes_is_read_back(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(document))
    assert json.loads(load_result(path).to_json()) == document


@pytest.mark.parametrize(
    ("field", "value", "part"),
    [
        ("totals.latency_ms", -5, "greater than 0"),
        ("totals.latency_ms", 0.5, "totals: latency_ms is 0.5"),
        ("totals.power_mw", 1.0, "totals: power_mw is 1.0"),
        ("totals.chip_power_mw", 1.0, "totals: chip_power_mw is 1.0"),
        ("totals.dram_power_mw", 1.0, "totals: dram_power_mw is 1.0"),
        ("totals.tops", 1.0, "totals: tops is 1.0"),
        ("totals.tops_per_w", 1e9, "totals: tops_per_w"),
        ("totals.chip_tops_per_w", 1e9, "totals: chip_tops_per_w"),
        ("totals.tops_per_mm2", 1e9, "totals: tops_per_mm2"),
        ("totals.energy_delay_product_pj_ms", 1.0, "totals: energy_delay_product_pj_ms"),
        ("totals.peak_layer_power_mw", 1e6, "totals: peak_layer_power_mw"),
        ("totals.utilization", 7.5, "less than or equal to 1"),
        ("totals.utilization", 0.5, "totals: utilization is 0.5"),
        ("layers.0.utilization", 0.5, "conv1: utilization is 0.5"),
        ("layers.1.power_mw", 0.5, "power_mw"),
        ("layers.0.power_mw", 0.5, "conv1: power_mw is 0.5"),
        ("intervals.energy_pj", [1.0, 2.0], "intervals: energy_pj"),
        ("layers.1.start_cycle", 0, "fc1: start_cycle is 0"),
        ("layers.0.cycles.stall", -1, "greater than or equal to 0"),
        ("layers.0.m", 0, "greater than or equal to 1"),
        ("layers.0.macs", True, "valid integer"),
        ("layers.0.macs", "1152", "valid integer"),
        ("totals.tops", "1", "valid number"),
        ("network.layers", 3, "layers do not add up"),
        ("network.macs", 7, "MACs of the network do not add up"),
        ("schema_version", True, "another schema version"),
        ("schema_version", 2.0, "another schema version"),
        ("schema_version", "2", "another schema version"),
        ("schema_version", [2], "another schema version"),
        ("arch.clock_mhz", 250, "totals: latency_ms"),
        ("arch.array.rows", 64, "totals: utilization"),
        ("arch.sram", [1], "arch.sram: input should be a valid dictionary"),
        ("arch.sram.ifmap", [1], "arch.sram.ifmap"),
        ("arch.sram.ifmap.word_bits", "wide", "arch.sram.ifmap"),
        ("arch.sram.ifmap.holds", 5, "arch.sram.ifmap"),
        ("arch.array.column_blocks", "two", "arch.array.column_blocks: input should be a valid list"),
        ("arch.array.mac", 8, "arch.array.mac"),
        ("arch.dram.latency_ns", "long", "arch.dram.latency_ns"),
        ("arch.dram.refresh_duration_ns", "long", "arch.dram.refresh_duration_ns"),
        ("arch.dram.refresh_interval_ns", [1], "arch.dram.refresh_interval_ns"),
        ("arch.dram", {"refresh_interval_ns": 5, "refresh_duration_ns": 5}, "must be shorter than"),
        ("arch.macs", [1], "arch.macs: input should be a valid dictionary"),
        ("totals.area_um2", 10**299, "area"),
        ("unit_prices.0.price_pj", 10**299, ""),
        ("sources.prices.0.value", -1, "greater than or equal to 0"),
    ],
)
def test_a_figure_that_is_not_what_it_follows_from_is_refused(
    document: dict[str, Any], field: str, value: Any, part: str, tmp_path: Path
) -> None:
    assert part in refused(changed(document, field, value), tmp_path)


def _numbers(value: Any, field: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _numbers(part, f"{field}.{name}" if field else name)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _numbers(part, f"{field}.{index}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield field, value


_FREE = (
    "arch.", "layers.0.tiling", "layers.1.tiling", "layers.0.activity", "layers.0.folds", "layers.1.folds",
    "layers.0.sram_bytes", "layers.1.sram_bytes", "layers.0.dram_bytes", "layers.1.dram_bytes",
    "layers.0.groups", "layers.1.groups", "network.batch", "made_from", "intervals",
    "layers.0.accumulation_interval", "layers.1.accumulation_interval",
)  # fmt: skip
"""What nothing else in a result follows from; of intervals only that they hold their figure is asked."""


def test_every_other_number_is_guarded(document: dict[str, Any]) -> None:
    """Each number that figures follow from, made half as large again, is noticed."""
    missed = []
    for field, value in _numbers(document):
        if field.startswith(_FREE) or (field.startswith("sources.") and not field.endswith(".value")):
            continue
        wrong = value * 1.5 + 1 if isinstance(value, float) else value + max(value // 2, 1)
        with contextlib.suppress(ValidationError):
            Result.model_validate(changed(document, field, wrong), context={"schema_version": 2})
            missed.append(field)
    unguarded = {field for field in missed if not field.endswith("uncertainty")}
    assert unguarded == set()


def test_a_number_left_out_is_refused(document: dict[str, Any], tmp_path: Path) -> None:
    for field in ("tops", "tops_per_mm2", "energy_delay_product_pj_ms", "peak_layer_power_mw"):
        copy = json.loads(json.dumps(document))
        del copy["totals"][field]
        assert field in refused(copy, tmp_path)


KEY = "0123456789abcdef" * 4


def test_a_seal_notices_every_flipped_bit(document: dict[str, Any]) -> None:
    text = seal(json.dumps(document), KEY)
    assert {**document, "sealed": json.loads(text)["sealed"]} == json.loads(text)
    require_seal(text, source="r.json", key=KEY)
    content = text.encode()
    draw = random.Random(5)
    for _ in range(300):
        place, bit = draw.randrange(len(content)), draw.randrange(8)
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        with pytest.raises(UserError):
            require_seal(flipped.decode("utf-8", errors="replace"), source="r.json", key=KEY)
    for length in (0, 1, len(text) // 2, len(text) - 1):
        with pytest.raises(UserError, match="seal is missing"):
            require_seal(text[:length], source="r.json")
    with pytest.raises(UserError, match="belongs to another point"):
        require_seal(text, source="r.json", key="f" * 64)


def test_a_sealed_result_is_read_like_any_other_and_its_seal_is_checked(
    document: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    path.write_text(seal(json.dumps(document), KEY))
    assert load_result(path) == load_result(path, key=KEY) == Result.model_validate(document)
    path.write_text(path.read_text().replace('"two"', '"owt"', 1))
    with pytest.raises(UserError, match="checksum differs"):
        load_result(path)
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match="seal is missing"):
        load_result(path, key=KEY)
