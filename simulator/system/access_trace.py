"""Accesses to buffers and DRAM of chosen layers, tile by tile, as CSV or Parquet, never all in memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from simulator.foundation import UserError
from simulator.foundation.files import whole_file
from simulator.system.counts import Operand
from simulator.system.footprint import Shares
from simulator.system.plan import Stream
from simulator.system.run import LayerRun, MachineRun
from simulator.system.timeline import layer_events

_ROWS_AT_ONCE = 16384


class Access(NamedTuple):
    """Bits moved between a memory and its user from `first_cycle` until before `end_cycle`.

    tile: the array step, or for transfers the place in the operand's sequence.
    purpose: `operands`, `partial sums`, `results` or `residual` at the array,
        `transfer` between memories.
    """

    layer: str
    memory: Literal["sram", "dram"]
    operand: Operand
    direction: Literal["read", "write"]
    purpose: str
    tile: int
    first_cycle: int
    end_cycle: int
    bits: int


_OPERAND: Mapping[Stream, Operand] = {
    "ifmap": "ifmap",
    "filter": "filter",
    "ofmap_load": "ofmap",
    "ofmap_store": "ofmap",
}


def layer_accesses(run: LayerRun) -> Iterator[Access]:
    """Accesses of one layer; bits sum exactly to its SRAM and DRAM counts, up to rounding to whole bytes.

    Raises:
        UserError: the layer ran under `timing: scalesim`, which has no machine to show.
    """
    yield from _at_the_array(run)
    yield from _transfers(run)


def _at_the_array(run: LayerRun) -> Iterator[Access]:
    lowered = run.played.lowered
    bits, name = lowered.bits, run.layer.name
    results = sum(moved.results for moved in lowered.tile_accesses)
    written, added = Shares(lowered.result_bytes, results), Shares(lowered.loaded_bytes, results)
    steps = (event for event in layer_events(run) if event.track == "array")
    for event, moved in zip(steps, lowered.tile_accesses, strict=True):
        rows: tuple[tuple[Operand, Literal["read", "write"], str, int], ...] = (
            ("ifmap", "read", "operands", moved.activation_reads * bits.activation),
            ("filter", "read", "operands", moved.weight_reads * bits.weight),
            ("ofmap", "read", "partial sums", moved.partial_sum_reads * bits.accumulator),
            ("ofmap", "write", "partial sums", moved.partial_sum_writes * bits.accumulator),
            ("ofmap", "read", "residual", 8 * added.next(moved.results)),
            ("ofmap", "write", "results", 8 * written.next(moved.results)),
        )
        for operand, direction, purpose, count in rows:
            if count:
                span = event.start_cycle, event.end_cycle
                yield Access(name, "sram", operand, direction, purpose, event.tile, *span, count)


def _transfers(run: LayerRun) -> Iterator[Access]:
    times, programme, name = run.played.times, run.played.lowered.programme, run.layer.name
    assert times is not None, "layer_events has refused layers without times"
    for transfer, when in zip(programme.transfers, times.transfers, strict=True):
        operand, storing = _OPERAND[transfer.stream], transfer.stream == "ofmap_store"
        span = run.start_cycle + when.start, run.start_cycle + when.end
        place = transfer.index, *span, 8 * transfer.bytes
        outside: Literal["sram", "dram"] = "dram" if transfer.channel == "dram" else "sram"
        source: Operand = operand if outside == "dram" else "ofmap"
        if storing:
            yield Access(name, "sram", operand, "read", "transfer", *place)
            yield Access(name, "dram", operand, "write", "transfer", *place)
        else:
            yield Access(name, outside, source, "read", "transfer", *place)
            yield Access(name, "sram", operand, "write", "transfer", *place)


def write_access_trace(run: MachineRun, path: Path, layers: Iterable[str] = ()) -> int:
    """Write the accesses of the named layers (all when none is named); returns the number of rows.

    A path that ends in `.parquet` becomes Parquet (extra `[parquet]`), any other CSV. Rows are written as
    they are produced, layer by layer.

    Raises:
        UserError: an unknown layer (the nearest is suggested), Parquet without pyarrow, a file that cannot be
            written, or a run without a machine (`timing: scalesim`).
    """
    chosen = _chosen(run, list(layers))
    rows = (access for layer in chosen for access in layer_accesses(layer))
    with whole_file(path) as temporary:
        if path.suffix == ".parquet":
            return _write_parquet(temporary, rows, path)
        return _write_csv(temporary, rows)


def _chosen(run: MachineRun, names: list[str]) -> list[LayerRun]:
    by_name = {layer.layer.name: layer for layer in run.layers}
    for name in names:
        if name not in by_name:
            raise UserError(f"network {run.network.name!r} has no such layer", value=name, candidates=by_name)
    return [by_name[name] for name in by_name if name in names or not names]


def _write_csv(path: Path, rows: Iterator[Access]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Access._fields)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterator[Access], shown: Path) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError(
            "Parquet needs pyarrow",
            source=shown,
            allowed="a .csv file, or pip install 'systolic-simulator[parquet]'",
        ) from error
    kinds: list[Any] = [pa.string()] * 5 + [pa.int64()] * 4
    schema = pa.schema(list(zip(Access._fields, kinds, strict=True)))
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            columns = [
                pa.array(column, kind) for column, kind in zip(zip(*chunk, strict=True), kinds, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(chunk)
    return count
