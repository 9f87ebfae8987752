"""Cases that run something with what was accepted: a network, a sweep, a trace, a result again.

Every result must keep the laws of `laws`, and be read back as it was written.
"""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from simulator.arch import load_arch
from simulator.arch.scalesim_cfg import read_scalesim_cfg
from simulator.cost.accelergy import export_art, export_ert, import_reference_tables
from simulator.cost.price_tables import load_table
from simulator.cost.table_check import check_tables
from simulator.cost.table_template import table_template
from simulator.foundation import UserError
from simulator.foundation.documents import read_text
from simulator.measured_runs import measure_recorded
from simulator.measurements import MeasuredRun
from simulator.report.explain import explain
from simulator.report.sweep_console import render_summary
from simulator.report.tabular import rows_csv_of
from simulator.reproduction import reproduce
from simulator.result import load_result
from simulator.simulation import configure, finish, simulate
from simulator.sweep.jobs import Job, plan, run_job
from simulator.sweep.spec import load_spec, sweep_points
from simulator.sweep.store import SweepStore
from simulator.sweep.summary import summarize
from simulator.workload import load_network
from tests.hostile.fuzzing import mutations, samples
from tests.hostile.fuzzing.laws import require_laws
from tests.hostile.fuzzing.mutations import SNIPPETS, VALUES
from tests.hostile.fuzzing.samples import PROVENANCE, Samples, network_file


def yaml_text(document: Any, draw: random.Random) -> str:
    """A document changed in its structure or in its text."""
    if draw.random() < 0.7:
        return json.dumps(mutations.changed_document(document, draw))
    return mutations.changed_text(json.dumps(document), draw)


def _written(path: Path, text: str, draw: random.Random) -> Path:
    path.write_bytes(mutations.encoded(text, draw))
    return path


def _priced(draw: random.Random, _: Samples, folder: Path) -> None:
    """A run priced by a changed table before the bundled ones."""
    path = _written(folder / "mine.yaml", yaml_text(samples.TABLE, draw), draw)
    tables = [str(path), *(samples.ARCH["tables"] if draw.random() < 0.7 else ())]
    arch = load_arch(
        "int8_32x32", {"array.rows": 8, "tables": tables, "scaling.voltage": draw.random() < 0.3}
    )
    result = simulate(load_network(network_file(folder)), arch)
    require_laws(result)
    layer = draw.choice((None, "conv1", "fc1"))
    explain(result, layer, None)


def _tables(draw: random.Random, _: Samples, folder: Path) -> None:
    """What `tables check`, `new`, `export` and `import` do with changed tables and architectures."""
    way = draw.randrange(3)
    if way == 0:
        path = _written(folder / "mine.yaml", yaml_text(samples.TABLE, draw), draw)
        check_tables(load_arch("int8_32x32", {"tables": [str(path)]}))
    elif way == 1:
        arch = load_arch(str(_written(folder / "a.yaml", yaml_text(samples.ARCH, draw), draw)))
        text = table_template("mine", arch)
        assert text.endswith("\n")
        check_tables(arch)
    else:
        table = load_table(str(_written(folder / "mine.yaml", yaml_text(samples.TABLE, draw), draw)))
        texts = [export_ert(table), export_art(table)]
        written = folder / "back.yaml"
        written.write_text(import_reference_tables(texts, name="back", provenance=PROVENANCE))
        before = {key: row.value for key, row in table.rows.items() if row.unit == "um2"}
        after = {key: row.value for key, row in load_table(str(written)).rows.items()}
        assert all(after[key] == value for key, value in before.items() if key in after)


def _accelergy_run(draw: random.Random, _: Samples, folder: Path) -> None:
    """A run priced by a table that was imported from changed Accelergy files."""
    text = yaml_text(samples.ACCELERGY, draw)
    path = _written(folder / "e.yaml", text, draw)
    table = folder / "t.yaml"
    table.write_text(import_reference_tables([read_text(path)], name="t", provenance=PROVENANCE))
    arch = load_arch("int8_32x32", {"array.rows": 8, "tables": [str(table), *samples.ARCH["tables"]]})
    require_laws(simulate(load_network(network_file(folder)), arch))


def _mapped(draw: random.Random, _: Samples, folder: Path) -> None:
    """A run with a changed mapping."""
    mapping = {"layers": {**samples.MAPPING["layers"], "fc1": {"tiling": {"tile_k": 9, "tile_m": 1}}}}
    path = _written(folder / "map.yaml", yaml_text(mapping, draw), draw)
    arch = configure("int8_32x32", {"array.rows": 8}, mapping=path)
    require_laws(simulate(load_network(network_file(folder)), arch))


def _scalesim_run(draw: random.Random, _: Samples, folder: Path) -> None:
    """A SCALE-Sim topology under a SCALE-Sim configuration, one of them changed."""
    cfg, csv = samples.SCALESIM_CFG, samples.SCALESIM_CSV
    if draw.random() < 0.7:
        cfg = (
            mutations.changed_text(_other_figures(cfg, draw), draw)
            if draw.random() < 0.4
            else _other_figures(cfg, draw)
        )
    else:
        csv = _other_figures(csv, draw)
    config = read_scalesim_cfg(_written(folder / "f.cfg", cfg, draw))
    arch = configure("int8_32x32", {}, scalesim=config)
    network = load_network(_written(folder / "f.csv", csv, draw))
    require_laws(finish(MeasuredRun(arch, network), scalesim=config))


def _other_figures(text: str, draw: random.Random) -> str:
    """A text with one of its numbers or words after a colon or comma replaced."""
    lines = text.splitlines()
    places = [number for number, line in enumerate(lines) if ":" in line or "," in line]
    place = draw.choice(places)
    mark = ":" if ":" in lines[place] else ","
    cells = lines[place].split(mark)
    value = draw.choice(
        ("0", "1", "3", "7", "-1", "4096", "4097", "1e3", "", "x", "os", "is", "9" * 20, "0.5", "1 0")
    )
    cells[draw.randrange(1, len(cells))] = value
    lines[place] = mark.join(cells)
    return "\n".join(lines) + "\n"


def _big_run(draw: random.Random, _: Samples, folder: Path) -> None:
    """Layers and arrays with sizes anywhere up to their bounds and just beyond."""

    def size() -> int:
        return draw.choice((1, 2, 3, 7, 31, 33, 64, 1000, 4095, 4096, 4097, 10**6, 10**9, 10**12, 10**12 + 1))

    layer: dict[str, Any] = draw.choice((
        {"fc": {"m": size(), "k": size(), "n": size()}},
        {"matmul": {"m": size(), "k": size(), "n": size(), "products": draw.choice((1, 3, 10**6))}},
        {"conv": {"ifmap": draw.choice((7, 224, 10**5, 10**6)), "channels": draw.choice((1, 3, 64, 4096)),
                  "filters": draw.choice((1, 64, 4096, 10**6)), "kernel": draw.choice((1, 3, 7, 99)),
                  "stride": draw.choice((1, 2, 50)), "padding": draw.choice((0, 1, 3)),
                  "dilation": draw.choice((1, 2, 30))}},
    ))  # fmt: skip
    network = {"name": "big", "source": "a test", "layers": [{"name": "l", **layer}]}
    path = folder / "n.yaml"
    path.write_text(json.dumps(network))
    overrides = {
        "array.rows": draw.choice((1, 2, 8, 32, 100, 1024, 4096, 4097)),
        "array.columns": draw.choice((1, 2, 8, 32, 100, 1024, 4096, 4097)),
        "array.dataflow": draw.choice(("os", "ws", "is")),
        "array.overlap": draw.choice(("none", "drain", "full")),
        "sram.ifmap.capacity_kib": draw.choice((0.125, 1, 64, 10**6, 10**9)),
        "sram.ofmap.capacity_kib": draw.choice((0.125, 1, 64, 10**6, 10**9)),
        "dram.bandwidth_gbyte_per_s": draw.choice((1e-3, 25.6, 1e6)),
        "tiling.objective": draw.choice(("latency", "traffic", "energy")),
    }
    chosen = dict(draw.sample(sorted(overrides.items()), draw.choice((0, 1, 2, 4))))
    batch = draw.choice((None, None, 1, 16, 4096, 10**6))
    require_laws(simulate(load_network(path, batch=batch), configure("int8_32x32", chosen)))


def _figures(draw: random.Random, made: Samples, folder: Path) -> None:
    """A result with one number changed: refused, or still closed as written down in `laws`."""
    document = copy.deepcopy(dict(made.result))
    numbers = [(box, key) for box, key in mutations.places(document) if _is_number(box[key])]
    box, key = draw.choice(numbers)
    value = box[key]
    number = float(value) if not isinstance(value, str) else int(value)
    changes: tuple[Any, ...] = (
        number + 1,
        number * 2,
        -number,
        number * (1 + 1e-6),
        0,
        number + 0.5,
        1e300,
        2**63,
    )
    new = draw.choice(changes)
    box[key] = str(int(new)) if isinstance(value, str) and abs(new) < 1e18 else new
    path = folder / "r.json"
    path.write_text(json.dumps(document))
    require_laws(load_result(path))


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.isdecimal()
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reproduce(draw: random.Random, made: Samples, folder: Path) -> None:
    """A result that says it was made from something else."""
    document = copy.deepcopy(dict(made.result))
    path = network_file(folder)
    origin = {"network": str(path), "batch": 2, "skip_unsupported": False, "input_shapes": {}, "dims": {}}
    origin |= {"arch": copy.deepcopy(document["arch"]), "batch_axis": None}
    document["made_from"] = mutations.changed_document(origin, draw)
    written = folder / "r.json"
    written.write_text(json.dumps(document))
    require_laws(reproduce(load_result(written), source=written).again)


def _explain(draw: random.Random, made: Samples, folder: Path) -> None:
    """Names of layers and components that there may not be."""
    text = json.dumps(made.result)
    for name in ("conv1", "fc1", "pe_multiply"):
        if draw.random() < 0.1:
            text = text.replace(
                f'"{name}"', json.dumps(draw.choice(("", "x" * 900, "[b]", "\u202e", "total", "=1")))
            )
    path = folder / "r.json"
    path.write_text(text)
    known: tuple[str | None, ...] = (None, "conv1", "fc1", "mm", "pe_multiply", "sram_ifmap", "total")
    odd = (*map(str, VALUES[:60]), *SNIPPETS)
    names = [draw.choice(known if draw.random() < 0.7 else odd) for _ in range(2)]
    told = explain(load_result(path), *names)
    assert told.strip()


def _recorded(draw: random.Random, made: Samples, folder: Path) -> None:
    """A changed trace run on the array, its codes as they stand."""
    for name, content in made.trace.items():
        (folder / name).write_bytes(content)
    manifest = json.loads(made.trace["trace.json"])
    (folder / "trace.json").write_text(json.dumps(mutations.changed_document(manifest, draw)))
    arch = load_arch("int8_32x32", {"array.rows": 4, "array.columns": 4})
    require_laws(finish(measure_recorded(arch, folder)))


def _swept(draw: random.Random, _: Samples, folder: Path) -> None:
    """A sweep from its specification to its tables, with its jobs run here; no point is lost."""
    network = network_file(folder)
    document = {
        **copy.deepcopy(dict(samples.SWEEP)),
        "networks": [str(network)],
        "data": None,
        "policy": None,
    }
    document |= {"images": None, "grid": {"array.rows": [4, 8], "clock_mhz": [400]}, "batches": [1, 2]}
    path = _written(folder / "s.yaml", yaml_text(document, draw), draw)
    spec = load_spec(path)
    if spec.size > 8 or any(name != str(network) for name in spec.networks) or spec.data is not None:
        return
    points = sweep_points(spec)
    planned = plan(points)
    failures: dict[str, str] = {}
    with SweepStore(folder / "store") as store:
        for job in {job.key: job for job in planned if isinstance(job, Job)}.values():
            outcome = run_job(job)
            assert outcome.traceback is None, outcome.traceback
            if outcome.text is None:
                failures[job.key] = outcome.problem or ""
            else:
                store.write(job.key, outcome.text)
                require_laws(store.result(job.key))
        _damage(store, draw)
        summary = summarize(points, planned, store, failures)
    assert len(summary.entries) == len(points)
    assert all((entry.figures is None) != (entry.problem is None) for entry in summary.entries)
    render_summary(summary, spec.name, Console(file=io.StringIO(), width=100))
    assert rows_csv_of(summary.columns, summary.rows()).count("\n") >= len(points)
    json.loads(summary.to_json(spec.name))


def _damage(store: SweepStore, draw: random.Random) -> None:
    keys = store.keys()
    if not keys or draw.random() < 0.8:
        return
    path = store.path(draw.choice(keys))
    before = path.read_bytes()
    changed = mutations.changed_bytes(before, draw)
    path.write_bytes(changed)
    if changed != before:
        try:
            store.result(path.stem)
        except UserError:
            path.write_bytes(before)
            return
        message = "a changed point was taken for a sound one"
        raise AssertionError(message)


RUN_KINDS: Final[Mapping[str, Callable[[random.Random, Samples, Path], None]]] = {
    "run with a price table": _priced,
    "tables commands": _tables,
    "run with Accelergy tables": _accelergy_run,
    "run with a mapping": _mapped,
    "run with SCALE-Sim files": _scalesim_run,
    "sizes up to their bounds": _big_run,
    "figures of a result": _figures,
    "reproduce": _reproduce,
    "explain": _explain,
    "trace run on an array": _recorded,
    "sweep run": _swept,
}
"""Kinds by name."""
