"""A case of each kind of input: made from a seed, and tried. Whatever is raised but UserError is a defect."""

from __future__ import annotations

import contextlib
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import onnx
import yaml
from rich.console import Console

from simulator.arch import load_arch
from simulator.arch.scalesim_cfg import read_scalesim_cfg
from simulator.cli import exit_code
from simulator.cli.options import arch_overrides
from simulator.cost.accelergy import import_reference_tables
from simulator.cost.price_tables import load_table
from simulator.foundation import UserError
from simulator.foundation.documents import read_text
from simulator.foundation.files import safe_name, write_text
from simulator.foundation.reading.pictures import read_picture
from simulator.inference import load_images, load_model, load_trace
from simulator.numerics import get_mac
from simulator.numerics.formats import get_format
from simulator.report.console import render_result
from simulator.report.explain import explain
from simulator.report.html import render_html
from simulator.report.tabular import layers_csv
from simulator.result import load_result
from simulator.simulation import configure, simulate
from simulator.sweep.spec import load_spec, sweep_points
from simulator.sweep.store import SweepStore
from simulator.workload import load_network
from tests.hostile.fuzzing import samples
from tests.hostile.fuzzing.image_kinds import IMAGE_KINDS
from tests.hostile.fuzzing.laws import require_laws
from tests.hostile.fuzzing.mutations import (
    SNIPPETS,
    VALUES,
    changed_bytes,
    changed_document,
    changed_text,
    encoded,
)
from tests.hostile.fuzzing.odd_files import odd_files
from tests.hostile.fuzzing.python_kinds import python_values
from tests.hostile.fuzzing.run_kinds import RUN_KINDS
from tests.hostile.fuzzing.samples import PROVENANCE, Samples, network_file
from tests.hostile.fuzzing.surrounding_kinds import SURROUNDING_KINDS

Case = Callable[[random.Random, Samples, Path], None]
"""Makes a case with the generator and tries it in an empty folder. Raises UserError, or returns."""


def _yaml_file(document: Any, draw: random.Random, folder: Path) -> Path:
    """A YAML file of a document: its structure changed, or its text."""
    path = folder / "f.yaml"
    if draw.random() < 0.6:
        text = json.dumps(changed_document(document, draw))
    else:
        text = yaml.safe_dump(document, default_flow_style=draw.choice((True, False, None)), sort_keys=False)
        text = changed_text(text, draw)
    path.write_bytes(encoded(text, draw))
    return path


def _arch(draw: random.Random, _: Samples, folder: Path) -> None:
    load_arch(str(_yaml_file(samples.ARCH, draw, folder)))


def _network(draw: random.Random, _: Samples, folder: Path) -> None:
    network = load_network(_yaml_file(samples.NETWORK, draw, folder), batch=draw.choice((None, 1, 7, 0, -1)))
    assert network.macs == sum(layer.m * layer.n * layer.k for layer in network.layers)


def _scalesim_csv(draw: random.Random, _: Samples, folder: Path) -> None:
    path = folder / "f.csv"
    path.write_bytes(encoded(changed_text(samples.SCALESIM_CSV, draw), draw))
    load_network(path)


def _scalesim_cfg(draw: random.Random, _: Samples, folder: Path) -> None:
    path = folder / "f.cfg"
    path.write_bytes(encoded(changed_text(samples.SCALESIM_CFG, draw), draw))
    configure("int8_32x32", {}, scalesim=read_scalesim_cfg(path))


def _settings(draw: random.Random, _: Samples, __: Path) -> None:
    sections: dict[str, Any] = dict(samples.ARCH)
    section = draw.choice([name for name, value in sections.items() if isinstance(value, dict)])
    field = f"{section}.{draw.choice(list(sections[section]))}"
    value = draw.choice((*SNIPPETS, *map(str, VALUES), *map(repr, VALUES)))
    text = f"{field}={value}" if draw.random() < 0.8 else changed_text(f"{field}={value}", draw)
    load_arch("int8_32x32", arch_overrides({}, [text]))


def _spec(draw: random.Random, _: Samples, __: Path) -> None:
    text = draw.choice(samples.SPECS)
    if draw.random() < 0.8:
        text = changed_text(text, draw)
    if draw.random() < 0.5:
        text = text.replace(draw.choice("0123456789"), draw.choice(("0", "64", "999", "-1", "9" * 40)), 1)
    get_format(text) if draw.random() < 0.4 else get_mac(text)


def _mac(draw: random.Random, _: Samples, __: Path) -> None:
    mac = samples.ARCH["macs"][draw.choice(("mine", "other"))]
    get_mac(changed_document({"mac": mac}, draw).get("mac"))


def _table(draw: random.Random, _: Samples, folder: Path) -> None:
    load_table(str(_yaml_file(samples.TABLE, draw, folder)))


def _accelergy(draw: random.Random, _: Samples, folder: Path) -> None:
    path = _yaml_file(samples.ACCELERGY, draw, folder)
    import_reference_tables([read_text(path)], name="t", provenance=PROVENANCE, source=str(path))


def _sweep(draw: random.Random, _: Samples, folder: Path) -> None:
    spec = load_spec(_yaml_file(samples.SWEEP, draw, folder))
    if spec.size <= 100:
        for point in sweep_points(spec):
            assert point.label


def _mapping(draw: random.Random, _: Samples, folder: Path) -> None:
    configure("int8_32x32", {}, mapping=_yaml_file(samples.MAPPING, draw, folder))


def _result(draw: random.Random, made: Samples, folder: Path) -> None:
    path = folder / "r.json"
    if draw.random() < 0.7:
        # Of a result most is formation; half of the changes go to what people read.
        document = json.loads(json.dumps(made.result))
        part = draw.choice(
            ("totals", "layers", "arch", "network", "sources", "unit_prices", "schema_version")
        )
        document[part] = changed_document({part: document[part]}, draw).get(part, None)
        text = json.dumps(document)
    else:
        text = changed_text(json.dumps(made.result), draw)
    path.write_bytes(encoded(text, draw))
    result = load_result(path)
    explain(result, result.layers[0].name, None)
    render_result(result, Console(file=io.StringIO(), width=100), full=True)
    layers_csv(result)
    if draw.random() < 0.03:
        render_html([result])
    path.write_text(result.to_json())
    assert load_result(path) == result


def _store(draw: random.Random, made: Samples, folder: Path) -> None:
    store = folder / "s"
    SweepStore(store).close()
    point = store / "points" / f"{samples.KEY}.json"
    point.write_bytes(changed_bytes(made.sealed, draw))
    if draw.random() < 0.3:
        (store / "store.json").write_bytes(changed_bytes((store / "store.json").read_bytes(), draw))
    if draw.random() < 0.2:
        (
            store / "points" / draw.choice((".part", "x", f"{'z' * 64}.json", f"{samples.KEY}.json.bak"))
        ).mkdir()
    changed = point.read_bytes() != made.sealed
    with SweepStore(store) as opened:
        opened.require_sound([samples.KEY])
        opened.result(samples.KEY)
    assert not changed, "a changed point was taken for a sound one"


def _trace(draw: random.Random, made: Samples, folder: Path) -> None:
    for name, content in made.trace.items():
        (folder / name).write_bytes(content)
    manifest = json.loads(made.trace["trace.json"])
    if draw.random() < 0.6:
        (folder / "trace.json").write_bytes(encoded(json.dumps(changed_document(manifest, draw)), draw))
    else:
        name = draw.choice(list(made.trace))
        content = changed_bytes(made.trace[name], draw)
        (folder / name).write_bytes(content)
        for layer in manifest["layers"]:  # with a hash that fits, so that its header is looked at
            for tensor in layer["tensors"].values():
                if tensor["file"] == name:
                    import hashlib

                    tensor |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        if name != "trace.json":
            (folder / "trace.json").write_text(json.dumps(manifest))
    trace = load_trace(folder)
    for each in trace.network.layers:
        trace.mac(each.name)


def _images(draw: random.Random, made: Samples, folder: Path) -> None:
    name = draw.choice(list(made.arrays))
    path = folder / name
    path.write_bytes(changed_bytes(made.arrays[name], draw))
    load_images(path)


def _picture(draw: random.Random, made: Samples, folder: Path) -> None:
    name = draw.choice(list(made.pictures))
    path = folder / name
    path.write_bytes(changed_bytes(made.pictures[name], draw))
    read_picture(path)


def _onnx_bytes(draw: random.Random, made: Samples, folder: Path) -> None:
    path = folder / "m.onnx"
    path.write_bytes(changed_bytes(made.models["small"], draw))
    _try_onnx(path, draw)


def _onnx_graph(draw: random.Random, made: Samples, folder: Path) -> None:  # noqa: C901 - a change each
    model = onnx.load_model_from_string(made.models["small"])
    graph = model.graph
    node, tensor = draw.choice(graph.node), draw.choice(graph.initializer)
    text = draw.choice([value for value in VALUES if isinstance(value, str) and "\ud800" not in value])
    match draw.randrange(11):
        case 0:
            node.op_type = draw.choice(
                ("If", "Loop", "Scan", "Frob", "Conv", "MatMul", "Reshape", "LSTM", text)
            )
        case 1:
            node.input[:] = draw.choice(([], ["x"] * 3, [text], [""], list(reversed(node.input)), ["absent"]))
        case 2:
            node.output[:] = draw.choice(([], ["x"], [text], ["y", "y"]))
        case 3:
            tensor.dims[:] = draw.choice(([], [0], [-1], [2**62, 2**62], [1] * 40, [3, 3], [2**31, 2]))
        case 4:
            tensor.data_type = draw.choice((0, 1, 2, 7, 8, 14, 16, 23, 99))
        case 5:
            tensor.raw_data = draw.choice((b"", b"\0", tensor.raw_data * 2, tensor.raw_data[:-1]))
        case 6:
            tensor.data_location = 1
            entry = tensor.external_data.add()
            entry.key, entry.value = (
                "location",
                draw.choice(("../x", "/etc/passwd", "m.onnx", text, "absent")),
            )
            extra = tensor.external_data.add()
            extra.key, extra.value = (
                draw.choice(("offset", "length")),
                draw.choice(("-1", "9" * 30, "x", "0")),
            )
        case 7:
            graph.input[0].type.Clear()
            if draw.random() < 0.7:
                graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1
        case 8:
            dimension = draw.choice(graph.input[0].type.tensor_type.shape.dim)
            dimension.dim_value = draw.choice((0, -1, 2**62, 1, 5, 10**6))
        case 9:
            del model.opset_import[:]
            if draw.random() < 0.5:
                model.opset_import.add().version = draw.choice((0, -1, 1, 7, 99, 2**40))
        case _:
            for attribute in node.attribute[:1]:
                attribute.ints[:] = draw.choice(([], [0], [-1, -1], [2**62, 2**62], [3] * 9, [1, 1]))
                attribute.type = draw.choice((attribute.type, 1, 2, 3, 5, 14))
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    _try_onnx(path, draw)


def _try_onnx(path: Path, draw: random.Random) -> None:
    if draw.random() < 0.5:
        load_network(path, batch=draw.choice((None, 3)), skip_unsupported=draw.random() < 0.5)
    else:
        load_model(path)


def _path(draw: random.Random, _: Samples, folder: Path) -> None:
    """Writes and reads at odd paths inside the folder; what is written is read back."""
    parts = [
        draw.choice((*map(str, VALUES), "..", "a", "n" * 256, "ü" * 200))
        for _ in range(draw.choice((1, 1, 2)))
    ]
    name = "/".join(part.replace("..", "_").lstrip("/") for part in parts)
    path = folder / name
    text = draw.choice([value for value in VALUES if isinstance(value, str)])
    write_text(path, text)
    assert path.read_bytes() == text.encode()
    assert read_text(path).replace("\r", "") == text.replace("\r", "")
    assert safe_name(name)


def _run(draw: random.Random, _: Samples, folder: Path) -> None:
    """A whole run with a changed architecture that is accepted: its result closes, or it is refused."""
    arch = json.loads(json.dumps(samples.ARCH))
    path = folder / "a.yaml"
    path.write_text(json.dumps(changed_document(arch, draw)).encode("utf-8", errors="replace").decode())
    require_laws(simulate(load_network(network_file(folder)), configure(str(path), {})))


_ARGUMENTS: Final = (
    *("--rows", "--cols", "--clock-mhz", "--batch", "--dataflow", "--overlap", "--timing", "--mac", "--arch", "--set"),
    *("--out", "--trace", "--vcd", "--fold", "--mapping", "--mapping-out", "--scalesim-cfg", "--json", "--quiet"),
    *("--layers", "--help", "--engine", "--data", "--policy", "--images", "--trace-layer", "-m", "-a", "-q", "--"),
    *("int8", "os", "ws", "drain", "scalesim", "conv1", "8", "2", "500", "array.rows=4", "fc1", "out", "t.json"),
)  # fmt: skip
_COMMANDS: Final = (
    ("simulate", "n.yaml"), ("explain", "r.json"), ("formats", "show"), ("formats", "list"), ("macs", "show"),
    ("macs",), ("tables", "show"), ("tables", "list"), ("networks",), ("tables", "new"), ("tables", "check"),
    ("report", "r.json", "-o", "r.html"), ("compare", "r.json"), ("sweep", "s.yaml"), ("trace",), (),
)  # fmt: skip


def _command_line(draw: random.Random, made: Samples, folder: Path) -> None:
    """Arguments that do not belong together; a command that takes them must do something sensible."""
    network_file(folder)
    (folder / "r.json").write_text(json.dumps(made.result))
    (folder / "s.yaml").write_text("networks: [absent]")
    arguments = [*draw.choice(_COMMANDS)]
    for _ in range(draw.choice((0, 1, 2, 2, 3, 4))):
        value = draw.choice((*_ARGUMENTS, *samples.SPECS, *map(str, VALUES)))
        arguments.insert(draw.randrange(1, len(arguments) + 1) if arguments else 0, value)
    if any(argument.startswith(("/", "../")) for argument in arguments):
        return  # nothing outside of the folder
    out, error = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = exit_code(arguments)
    assert code in (0, 1, 2), f"exit {code} of {arguments}: {error.getvalue()[:300]}"
    if code == 2 and "Usage:" not in error.getvalue() + out.getvalue():
        lines = [line for line in error.getvalue().splitlines() if line.startswith("systolic: ")]
        assert lines, f"exit 2 of {arguments} without a message"
        raise UserError(lines[-1])


KINDS: Final[dict[str, Case]] = {
    "architecture": _arch,
    "network": _network,
    "SCALE-Sim topology": _scalesim_csv,
    "SCALE-Sim configuration": _scalesim_cfg,
    "--set": _settings,
    "format or MAC in words": _spec,
    "MAC as a mapping": _mac,
    "price table": _table,
    "Accelergy tables": _accelergy,
    "sweep": _sweep,
    "mapping": _mapping,
    "result": _result,
    "sweep store": _store,
    "trace": _trace,
    "images": _images,
    "picture": _picture,
    "ONNX bytes": _onnx_bytes,
    "ONNX graph": _onnx_graph,
    "path": _path,
    "whole run": _run,
    "command line": _command_line,
    **IMAGE_KINDS,
    **RUN_KINDS,
    "Python values": python_values,
    "odd files": odd_files,
    **SURROUNDING_KINDS,
}
"""Every kind of input by name."""

WEIGHTS: Final = {
    **dict.fromkeys(("command line", "ONNX through infer", "ONNX with measured toggles"), 0.4),
    **dict.fromkeys(("odd files", "environment", "text in cells"), 0.5),
    **dict.fromkeys(("run with a price table", "trace run on an array", "sweep run"), 0.4),
    **dict.fromkeys(("result", "sweep store", "figures of a result", "reproduce", "explain"), 0.5),
}
"""How often a kind is tried, relative to the others; what takes long is tried less often."""
