"""One way to every network: bundled by name, own YAML, SCALE-Sim topology, ONNX."""

from __future__ import annotations

from pathlib import Path

from simulator.foundation import UserError
from simulator.foundation.given_values import path_text
from simulator.foundation.reading.foreign import decoding
from simulator.foundation.resources import resolve_document
from simulator.workload.batching import with_batch
from simulator.workload.importer import added_importers, read_with
from simulator.workload.layer import Network
from simulator.workload.network_file import read_network
from simulator.workload.onnx.sizes import Sizes
from simulator.workload.scalesim_csv import read_scalesim


def load_network(
    name_or_path: str | Path,
    *,
    batch: int | None = None,
    skip_unsupported: bool = False,
    sizes: Sizes | None = None,
) -> Network:
    """The network meant by a bundled name or by a path that ends in .yaml, .yml, .csv or .onnx.

    Args:
        name_or_path: a bundled name such as `resnet50`, or a file.
        batch: inputs computed at once; None keeps the file's own (1 for everything but some ONNX files).
        skip_unsupported: leave out operators of an ONNX file that cannot be simulated and list them in
            `Network.skipped_operators`, instead of refusing the file.
        sizes: of the inputs of an ONNX file, and which of their dimensions is the batch.

    Raises:
        UserError: unknown name (the nearest one is suggested), unreadable or wrong file, impossible batch.
    """
    name = path_text(name_or_path, what="a network")
    path = resolve_document(name, "workloads", ".yaml", ".onnx", what="network")
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        network = read_network(path)
    elif suffix == ".csv":
        network = read_scalesim(path)
    elif suffix == ".onnx":
        from simulator.workload.onnx import read_onnx

        with decoding("a network that can be read", source=path):
            network = read_onnx(path, skip_unsupported=skip_unsupported, sizes=sizes)
    else:
        network = _read_with_plugin(path)
    if sizes is not None and sizes != Sizes() and suffix != ".onnx":
        raise UserError(
            "sizes of inputs are for ONNX files; other networks have their own",
            source=path,
            allowed="no --input-shape, --dim or --batch-axis",
        )
    return network if batch is None else with_batch(network, batch)


def _read_with_plugin(path: Path) -> Network:
    """A network file of a kind that another package adds. Raises UserError for a kind that nobody reads."""
    importers = added_importers()
    for each in importers:
        if path.suffix.lower() in each.value.suffixes:
            return read_with(each, path)
    others = "".join(f", {suffix}" for each in importers for suffix in each.value.suffixes)
    raise UserError(
        "unknown kind of network file",
        source=path,
        value=path.suffix,
        allowed=f".yaml, .yml, .csv (SCALE-Sim topology), .onnx{others}",
    )
