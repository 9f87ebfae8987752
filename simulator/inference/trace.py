"""Recorded runs: a network's layers with the operands and results that went through the array.

docs/trace_format.md describes the folder: `trace.json` and one .npy file for each tensor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from simulator import __version__
from simulator.foundation import UserError
from simulator.foundation.documents import validate
from simulator.foundation.files import prepare_folder, remove_file, write_array, write_text
from simulator.foundation.reading.arrays import map_npy
from simulator.foundation.reading.content import is_file, sha256_of, size_of
from simulator.foundation.reading.json_documents import load_json
from simulator.foundation.reading.limits import LARGEST_ARRAY_BYTES
from simulator.numerics import MacSpec, get_mac
from simulator.numerics.array_types import Tensor
from simulator.numerics.mac_config import read_spec
from simulator.workload import Layer, Network
from simulator.workload.layer import convolution_layer
from simulator.workload.lowering import im2col

FORMAT: Final = "systolic-trace"
VERSION = 1
MANIFEST = "trace.json"

Encoding = Literal["codes", "floats"]
Role = Literal["activations", "weights", "accumulators", "outputs"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorFile(_Part):
    """One tensor: its .npy file beside trace.json, with what it must hold."""

    file: str = Field(pattern=r"^[A-Za-z0-9_.-]+\.npy$")
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    sha256: str


class TracedLayer(_Part):
    """One layer: geometry, arithmetic, scales, and the files of its tensors.

    A real activation is code value x `activation_scale`, a real weight code value x the entry of
    `weight_scales` of its output channel (one entry: for all). With encoding `floats` tensors hold real
    values, and `mac` and the scales say nothing.
    """

    layer: dict[str, Any]
    mac: dict[str, Any] | None
    activation_scale: float = 1.0
    weight_scales: tuple[float, ...] = (1.0,)
    padding_code: int = 0
    tensors: dict[Role, TensorFile]


class Manifest(_Part):
    """Everything in trace.json."""

    format: Literal["systolic-trace"] = FORMAT
    version: int = VERSION
    simulator_version: str
    network: str
    network_sha256: str
    data: str
    images: int = Field(ge=1)
    policy: str
    encoding: Encoding
    layers: tuple[TracedLayer, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace on disk: the network that was run and its tensors, memory-mapped when asked for."""

    folder: Path
    manifest: Manifest
    network: Network

    def mac(self, layer: str) -> MacSpec | None:
        """The MAC that the layer's codes are for; None in a trace of floats."""
        entry = self._entry(layer)
        return None if entry.mac is None else read_spec(entry.mac)

    def tensor(self, layer: str, role: Role) -> Tensor:
        """One of a layer's tensors, read-only and memory-mapped.

        Raises:
            UserError: a layer or tensor that was not recorded.
        """
        tensors = self._entry(layer).tensors
        if role not in tensors:
            raise UserError(
                "tensor is not in the trace",
                source=self.folder,
                location=layer,
                value=role,
                candidates=tensors,
            )
        return map_npy(self.folder / tensors[role].file)

    def operands(self, layer: str) -> tuple[Tensor, Tensor]:
        """The layer's left and right operands as the array sees them, [groups, M, K] and [groups, K, N]."""
        described = next(entry for entry in self.network.layers if entry.name == layer)
        activations, weights = self.tensor(layer, "activations"), self.tensor(layer, "weights")
        if described.convolution is not None:
            zero = self._entry(layer).padding_code
            return im2col(np.asarray(activations), described.convolution, zero=zero), weights
        groups, k = described.groups, described.k
        return np.asarray(activations).reshape(groups, -1, k), weights

    def _entry(self, layer: str) -> TracedLayer:
        for entry in self.manifest.layers:
            if entry.layer["name"] == layer:
                return entry
        names = [entry.layer["name"] for entry in self.manifest.layers]
        raise UserError("layer is not in the trace", source=self.folder, value=layer, candidates=names)


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """What is written for one layer; tensors by role, scales and MAC as in `TracedLayer`."""

    layer: Layer
    tensors: Mapping[Role, Tensor]
    mac: MacSpec | None = None
    activation_scale: float = 1.0
    weight_scales: tuple[float, ...] = (1.0,)
    padding_code: int = 0


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a trace comes from: the network's file and its hash, the images, the policy."""

    network: str
    network_sha256: str
    data: str
    images: int
    policy: str


def write_trace(
    folder: Path, records: list[LayerRecord], provenance: Provenance, *, encoding: Encoding
) -> Manifest:
    """Write a trace; trace.json comes last, so that an interrupted run leaves nothing that can be loaded.

    Raises:
        UserError: the folder or a file cannot be written.
    """
    prepare_folder(folder)
    remove_file(folder / MANIFEST)
    layers = tuple(_write_layer(folder, index, record) for index, record in enumerate(records))
    manifest = Manifest(simulator_version=__version__, encoding=encoding, layers=layers, **asdict(provenance))
    write_text(folder / MANIFEST, json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n")
    return manifest


def _write_layer(folder: Path, index: int, record: LayerRecord) -> TracedLayer:
    return TracedLayer(
        layer=asdict(record.layer),
        mac=None if record.mac is None else record.mac.document(),
        activation_scale=record.activation_scale,
        weight_scales=record.weight_scales,
        padding_code=record.padding_code,
        tensors={
            role: _write_tensor(folder, f"{index:03d}_{role}.npy", tensor)
            for role, tensor in record.tensors.items()
        },
    )


def _write_tensor(folder: Path, file: str, tensor: Tensor) -> TensorFile:
    contiguous = np.ascontiguousarray(tensor)
    path = folder / file
    write_array(path, contiguous)
    return TensorFile(
        file=file,
        dtype=contiguous.dtype.str,
        shape=contiguous.shape,
        bytes=size_of(path),
        sha256=_sha256(path),
    )


def load_trace(folder: str | Path) -> Trace:
    """A trace, after every file's size and hash, every tensor's type and shape were checked.

    Raises:
        UserError: not a trace, another version, a file that is missing, truncated or changed, or tensors that
            do not fit their layer.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if not is_file(path):
        raise UserError(f"is not a trace: it has no {MANIFEST}", source=folder)
    document = load_json(path)
    if isinstance(document, dict) and document.get("format") == FORMAT and document.get("version") != VERSION:
        raise UserError(
            "was written with another version",
            source=path,
            location="version",
            value=document.get("version"),
            allowed=str(VERSION),
        )
    manifest = validate(Manifest, document, source=path)
    layers = []
    for index, entry in enumerate(manifest.layers):
        layer = _layer(entry, path, index)
        _require_mac(entry, path, index)
        for role, tensor in entry.tensors.items():
            _check_file(folder, tensor, f"layers.{index}.tensors.{role}")
        _check_sizes(entry, layer, path, index)
        layers.append(layer)
    network = Network(
        manifest.network,
        tuple(layers),
        source=f"trace of {manifest.images} images of {manifest.data}",
        batch=manifest.images,
    )
    return Trace(folder, manifest, network)


def _layer(entry: TracedLayer, path: Path, index: int) -> Layer:
    try:
        layer = TypeAdapter(Layer).validate_python(entry.layer)
        if layer.convolution is not None and _sizes(layer) != _sizes(
            convolution_layer(layer.name, layer.convolution)
        ):
            raise UserError("its sizes are not those of its convolution")
        return layer
    except (ValueError, UserError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"is not a layer: {reason}", source=path, location=f"layers.{index}.layer") from error


def _require_mac(entry: TracedLayer, path: Path, index: int) -> None:
    if entry.mac is None:
        return
    try:
        get_mac(read_spec(entry.mac))
    except (ValueError, UserError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"is not a MAC: {reason}", source=path, location=f"layers.{index}.mac") from error


def _check_file(folder: Path, expected: TensorFile, location: str) -> None:
    path = folder / expected.file
    if not is_file(path):
        raise UserError("tensor file is missing", source=path, location=location)
    size = size_of(path)
    if size != expected.bytes:
        raise UserError(
            "tensor file is truncated or changed",
            source=path,
            location=location,
            value=size,
            allowed=f"{expected.bytes} bytes",
        )
    if _sha256(path) != expected.sha256:
        raise UserError("tensor file is corrupted: its hash differs", source=path, location=location)
    mapped = map_npy(path)
    if mapped.dtype.str != expected.dtype or mapped.shape != expected.shape:
        raise UserError(
            "tensor file does not hold what trace.json says",
            source=path,
            location=location,
            value=f"{mapped.dtype.str}{list(mapped.shape)}",
            allowed=f"{expected.dtype}{list(expected.shape)}",
        )


def _sizes(layer: Layer) -> tuple[int, ...]:
    elements = layer.ifmap_elements, layer.filter_elements, layer.ofmap_elements
    return layer.m, layer.n, layer.k, layer.groups, *elements


def _check_sizes(entry: TracedLayer, layer: Layer, path: Path, index: int) -> None:
    """Tensors must have the elements that the layer reads, in the shapes that their products need."""
    of_product = layer.groups * layer.m * layer.k
    stored = of_product if layer.convolution is None else layer.ifmap_elements
    expected = {"activations": stored, "weights": layer.k * layer.n}
    shapes: dict[str, tuple[int, ...]] = {"weights": (layer.groups, layer.k, layer.n_per_group)}
    if layer.convolution is not None:
        images = layer.convolution
        shapes["activations"] = (images.batch, images.channels, *images.ifmap)
    if "accumulators" in entry.tensors:
        expected["accumulators"] = layer.m * layer.n
        shapes["accumulators"] = (layer.groups, layer.m, layer.n_per_group)
    for role, elements in expected.items():
        tensor = entry.tensors.get(role)  # type: ignore[call-overload]  # three of the roles
        held = None if tensor is None else prod(tensor.shape)
        shape = None if tensor is None else tensor.shape
        if held != elements or shape != shapes.get(role, shape):
            raise UserError(
                f"{role} do not fit layer {layer.name!r}",
                source=path,
                location=f"layers.{index}.tensors.{role}",
                value=shape,
                allowed=" x ".join(map(str, shapes[role])) if role in shapes else f"{elements} elements",
            )


def _sha256(path: Path) -> str:
    return sha256_of(path, most_bytes=2 * LARGEST_ARRAY_BYTES)
