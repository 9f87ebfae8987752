"""Every access to buffers and DRAM of chosen layers, in order of time, as CSV or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator.foundation import UserError
from simulator.foundation.csv_text import safe_cell
from simulator.foundation.defects import DefectError
from simulator.foundation.files import whole_file, whole_text_file
from simulator.system.accesses import Accesses, Chunk, Kind, in_order_of_time
from simulator.system.addresses import Addresses
from simulator.system.array_accesses import array_accesses
from simulator.system.layer_work import ADDED_WORDS, BUFFER_WORDS, BURSTS, CHIP_WORDS, POOLED_WORDS
from simulator.system.run_network import LayerRun, MachineRun
from simulator.system.tile_work import (
    ACTIVATION_WORDS,
    RESIDUAL_WORDS,
    RESULT_WORDS,
    SUM_READ_WORDS,
    SUM_WRITE_WORDS,
    WEIGHT_WORDS,
)
from simulator.system.timeline import require_steps, too_long
from simulator.system.transfer_accesses import transfer_accesses

COLUMNS = ("cycle", "layer", "memory", "operand", "direction", "purpose", "address", "bytes", "moved")

PARQUET = ".parquet"

LARGEST_TRACE = 500_000_000
"""Rows beyond which a trace is not written: some 35 GB of CSV."""

_ROWS_OF_A_GROUP = 1 << 17

_COUNTED_ACCESSES = (
    *(ACTIVATION_WORDS, WEIGHT_WORDS, SUM_READ_WORDS, SUM_WRITE_WORDS, RESULT_WORDS, RESIDUAL_WORDS),
    *(POOLED_WORDS, ADDED_WORDS, CHIP_WORDS),
    *(BUFFER_WORDS + stream for stream in range(4)),
    *(BURSTS + stream for stream in range(4)),
)
"""Places of the machine's totals that count words and bursts."""


class LayerAccesses(NamedTuple):
    """Accesses of one layer that follow one another; `kinds` says what the numbers in `chunk` mean."""

    layer: str
    kinds: tuple[Kind, ...]
    chunk: Chunk


def layer_accesses(run: LayerRun) -> Iterator[LayerAccesses]:
    """Every access of one layer in order of time; cycles count from the beginning of the network.

    Raises:
        UserError: the layer ran under `timing: scalesim`, which has no machine, has too many steps, or has
            operands with block scales.
        DefectError: one lies outside of the layer's cycles, or all are not the bytes that it counted.
    """
    require_steps([run])
    addresses = Addresses.of(run)
    kinds, flows = zip(*array_accesses(run, addresses), *transfer_accesses(run, addresses), strict=True)
    useful, moved = np.zeros(len(kinds), np.int64), np.zeros(len(kinds), np.int64)
    for chunk in in_order_of_time(flows):
        np.add.at(useful, chunk.kinds, chunk.accesses.bytes)
        np.add.at(moved, chunk.kinds, chunk.accesses.moved)
        _require_within(run, chunk.accesses)
        yield LayerAccesses(run.layer.name, kinds, chunk)
    _require_counted(run, list(zip(kinds, useful.tolist(), moved.tolist(), strict=True)))


def count_accesses(run: LayerRun) -> int:
    """Rows that a layer's trace has, from its counts."""
    totals = run.played.tiling.totals
    return int(sum(totals[place] for place in _COUNTED_ACCESSES))


def _require_within(run: LayerRun, accesses: Accesses) -> None:
    first, last = int(accesses.cycles[0]), int(accesses.cycles[-1])
    if first < run.start_cycle or last >= run.end_cycle:
        within = f"the layer has {run.start_cycle} to {run.end_cycle - 1}"
        message = f"{run.layer.name}: accesses in cycles {first} to {last}, {within}"
        raise DefectError(message)


def _require_counted(run: LayerRun, shown: list[tuple[Kind, int, int]]) -> None:
    for memory, counted in (("sram", run.counts.sram), ("dram", run.counts.dram)):
        for operand, traffic in counted.items():
            for direction, *expected in (
                ("read", traffic.read_bytes, traffic.moved_read_bytes),
                ("write", traffic.write_bytes, traffic.moved_write_bytes),
            ):
                accesses = [sizes for kind, *sizes in shown if kind[:3] == (memory, operand, direction)]
                seen = [sum(sizes[i] for sizes in accesses) for i in range(2)]
                if seen != expected:
                    message = (
                        f"{run.layer.name}: {memory} {operand} {direction}: {seen} useful and moved bytes, "
                        f"not {expected}"
                    )
                    raise DefectError(message)


def write_access_trace(run: MachineRun, path: Path, layers: Iterable[str] = ()) -> int:
    """Write every access of the named layers (of all when none is named); returns how many there are.

    A row is a word of a buffer or a burst of the DRAM; docs/machine.md describes its columns. A path that
    ends in `.parquet` becomes Parquet (extra `[parquet]`), any other CSV (names as `safe_cell`). Rows are
    written as they are produced and never all in memory, which grows with the steps of the layers (2 kB
    each).

    Raises:
        UserError: an unknown layer (the nearest is suggested), a trace too long to be written (its length is
            told), Parquet without pyarrow, a file that cannot be written, or a run without a machine
            (`timing: scalesim`).
    """
    chosen = _chosen(run, list(layers))
    _require_writable(chosen)
    accesses = (part for layer in chosen for part in layer_accesses(layer))
    if path.suffix.lower() == PARQUET:
        with whole_file(path) as temporary:
            return _write_parquet(temporary, accesses, path)
    return _write_csv(path, accesses)


def _chosen(run: MachineRun, names: list[str]) -> list[LayerRun]:
    by_name = {layer.layer.name: layer for layer in run.layers}
    for name in names:
        if name not in by_name:
            raise UserError(f"network {run.network.name!r} has no such layer", value=name, candidates=by_name)
    return [by_name[name] for name in by_name if name in names or not names]


def _require_writable(layers: list[LayerRun]) -> None:
    require_steps(layers)
    rows = {layer.layer.name: count_accesses(layer) for layer in layers}
    if sum(rows.values()) > LARGEST_TRACE:
        raise too_long("rows", rows, LARGEST_TRACE)


def _write_csv(path: Path, parts: Iterator[LayerAccesses]) -> int:
    count = 0
    with whole_text_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for layer, kinds, (numbers, accesses) in parts:
            labels = [(safe_cell(layer), *kind) for kind in kinds]
            columns = (accesses.cycles, accesses.addresses, accesses.bytes, accesses.moved)
            values = [column.tolist() for column in columns]
            writer.writerows(
                (cycle, *labels[number], *sizes)
                for number, cycle, *sizes in zip(numbers.tolist(), *values, strict=True)
            )
            count += len(accesses)
    return count


def _write_parquet(path: Path, parts: Iterator[LayerAccesses], shown: Path) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError(
            "Parquet needs pyarrow",
            source=shown,
            allowed="a .csv file, or pip install 'systolic-simulator[parquet]'",
        ) from error
    label, number = pa.dictionary(pa.int8(), pa.string()), pa.int64()
    types = (number, *(label,) * 5, *(number,) * 3)
    schema = pa.schema(list(zip(COLUMNS, types, strict=True)))

    def table(part: LayerAccesses) -> Any:
        kinds, accesses = part.chunk
        labels: list[tuple[str, ...]] = [(part.layer,) * len(part.kinds), *zip(*part.kinds, strict=True)]
        columns = [
            pa.DictionaryArray.from_arrays(
                _renumbered(names, kinds), pa.array(sorted(set(names)), pa.string())
            )
            for names in labels
        ]
        numbers = [pa.array(values) for values in (accesses.addresses, accesses.bytes, accesses.moved)]
        return pa.Table.from_arrays([pa.array(accesses.cycles), *columns, *numbers], schema=schema)

    count, waiting = 0, []
    with pq.ParquetWriter(path, schema) as writer:
        for part in parts:
            waiting.append(table(part))
            count += len(part.chunk.accesses)
            if sum(len(one) for one in waiting) >= _ROWS_OF_A_GROUP:
                writer.write_table(pa.concat_tables(waiting).unify_dictionaries())
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting).unify_dictionaries())
    return count


def _renumbered(names: Iterable[str], kinds: Any) -> Any:
    """Numbers of the sorted distinct names, for every access."""
    names = list(names)
    distinct = sorted(set(names))
    return np.array([distinct.index(name) for name in names], np.int8)[kinds]
