"""ONNX files and the tensors that they keep in files beside them: sizes and places checked before reading."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from simulator.foundation.errors import UserError
from simulator.foundation.messages import is_plain
from simulator.foundation.reading.content import is_file, opened, read_bytes, size_of
from simulator.foundation.reading.foreign import decoding
from simulator.foundation.reading.limits import LARGEST_EXTERNAL_BYTES, LARGEST_ONNX_BYTES, LONGEST_KEY

_WHAT: Final = "an ONNX file"
_EXTERNAL: Final = 1
"""`TensorProto.EXTERNAL`."""

_LARGEST_DIMENSION: Final = 2**62
_BITS_BELOW_A_BYTE: Final = {"UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2}
_BITS: Final = 8


def load_onnx(path: Path, *, weights: bool) -> Any:
    """The model (a `ModelProto`) in an ONNX file.

    Args:
        path: the file.
        weights: whether tensors in files beside it are read too.

    Raises:
        UserError: unreadable, too large, no ONNX file, damaged, a name that is not plain text or too long, or
            as `load_external_data`.
    """
    import onnx

    content = read_bytes(path, most_bytes=LARGEST_ONNX_BYTES)
    with decoding(_WHAT, source=path):
        model = onnx.load_model_from_string(content)
        names = list(_names(model.graph))
    for name in names:
        if not isinstance(name, str) or not is_plain(name):
            raise UserError("is damaged: it has a name that is not plain text", source=path, value=name)
        if len(name) > LONGEST_KEY:
            raise UserError(
                "has too long a name", source=path, value=name, allowed=f"up to {LONGEST_KEY} characters"
            )
    if weights:
        load_external_data(model, path)
    return model


def inlined(model: Any, path: Path) -> Any:
    """The model with its local functions written out. Raises UserError where they cannot be."""
    from onnx.inliner import inline_local_functions

    with decoding(_WHAT, source=path):
        return inline_local_functions(model)


def load_external_data(model: Any, path: Path) -> None:
    """Read the tensors that a model keeps in other files into the model.

    Such files are regular ones inside the folder of the ONNX file, links followed; each holds as many bytes
    as the tensor has by its type and dimensions.

    Raises:
        UserError: a file outside the folder, missing or too short, a size that is not the tensor's, or more
            bytes than `limits.LARGEST_EXTERNAL_BYTES` all together.
    """
    total = 0
    for tensor in _tensors(model.graph):
        total += load_external_tensor(tensor, path)
        if total > LARGEST_EXTERNAL_BYTES:
            raise UserError(
                "external data are too large", source=path, allowed=f"up to {LARGEST_EXTERNAL_BYTES:,} bytes"
            )


def load_external_tensor(tensor: Any, path: Path) -> int:
    """Read what one tensor keeps in another file into the tensor; returns how many bytes, 0 for none.

    Raises:
        UserError: as `load_external_data`.
    """
    if tensor.data_location != _EXTERNAL:
        return 0
    described = {entry.key: entry.value for entry in tensor.external_data}
    folder = Path(os.path.realpath(path.parent))
    file = _external_file(described.get("location", ""), folder, path, tensor.name)
    size = _tensor_bytes(tensor, path)
    offset = _number(described, "offset", 0, path, tensor.name)
    length = _number(described, "length", size, path, tensor.name)
    if length != size or size > LARGEST_EXTERNAL_BYTES:
        raise UserError(
            "external data have another size than the tensor",
            source=path,
            location=tensor.name,
            value=length,
            allowed=f"{size} bytes, up to {LARGEST_EXTERNAL_BYTES:,}",
        )
    if offset + size > size_of(file):
        raise UserError("external data are truncated", source=file, location=tensor.name)
    with opened(file, most_bytes=max(LARGEST_EXTERNAL_BYTES, size_of(file))) as stream:
        stream.seek(offset)
        tensor.raw_data = stream.read(size)
    tensor.data_location = 0
    del tensor.external_data[:]
    return size


def _external_file(location: str, folder: Path, path: Path, tensor: str) -> Path:
    if not location or not is_plain(location):
        raise UserError("external data have no file", source=path, location=tensor, value=location)
    file = Path(os.path.realpath(folder / location))
    if Path(location).is_absolute() or not file.is_relative_to(folder):
        raise UserError(
            "external data are outside the folder of the ONNX file",
            source=path,
            location=tensor,
            value=location,
            allowed="a file in that folder or below",
        )
    if not is_file(file):
        raise UserError("external data are missing", source=path, location=tensor, value=location)
    return file


def _number(described: dict[str, str], key: str, default: int, path: Path, tensor: str) -> int:
    text = described.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise UserError(
            f"{key} of external data is no number of bytes", source=path, location=tensor, value=text
        )
    return int(text)


def _tensor_bytes(tensor: Any, path: Path) -> int:
    """Bytes of a tensor by its type and dimensions."""
    import onnx

    dimensions = [int(size) for size in tensor.dims]
    if any(not 0 <= size < _LARGEST_DIMENSION for size in dimensions):
        raise UserError(
            "has a negative dimension", source=path, location=tensor.name, value=list(tensor.dims)
        )
    with decoding("a tensor of ONNX", source=path, location=tensor.name):
        name = onnx.TensorProto.DataType.Name(tensor.data_type)
        bits = _BITS_BELOW_A_BYTE.get(name)
        if bits is None:
            bits = _BITS * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    return -(-math.prod(dimensions) * bits // _BITS)


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those inside its operators; protobuf nests at most 100 messages."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    for each in _graphs(graph):
        yield from each.initializer
        for node in each.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors


def _names(graph: Any) -> Iterable[str | bytes]:
    """Every name in a graph; the protobuf library gives bytes for what is not text."""
    for each in _graphs(graph):
        for value in [*each.initializer, *each.input, *each.value_info, *each.output]:
            yield value.name
        for node in each.node:
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
            yield from (attribute.name for attribute in node.attribute)
