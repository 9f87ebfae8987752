"""Network files: YAML with one line a layer, read into a Network and written from one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from simulator.foundation import UserError
from simulator.foundation.documents import load_yaml, validate
from simulator.workload.layer import (
    Convolution,
    Layer,
    Network,
    PostOperation,
    PostOperationKind,
    convolution_layer,
    matrix_layer,
)

Count = Annotated[int, Field(ge=1, strict=True)]
Edge = Annotated[int, Field(ge=0, strict=True)]


def _pair(size: object) -> object:
    """One number stands for height and width."""
    return (size, size) if isinstance(size, int) else size


def _four(padding: object) -> object:
    """One number stands for all edges, [vertical, horizontal] for both of each."""
    if isinstance(padding, int):
        return (padding,) * 4
    return (*padding, *padding) if isinstance(padding, list) and len(padding) == 2 else padding


def _kind_alone(post: object) -> object:
    """A post operation's name stands for one on exactly the layer's results."""
    return {"kind": post} if isinstance(post, str) else post


Size = Annotated[tuple[Count, Count], BeforeValidator(_pair)]
Padding = Annotated[tuple[Edge, Edge, Edge, Edge], BeforeValidator(_four)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ConvolutionFields(_Strict):
    """A convolution on one input: one number where height and width agree, else [height, width]."""

    ifmap: Size
    channels: Count
    filters: Count
    kernel: Size
    stride: Size = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Size = (1, 1)
    groups: Count = 1


class ProductFields(_Strict):
    """M x K times K x N; `products` independent ones, `activations` when both operands are computed."""

    m: Count = 1
    k: Count
    n: Count
    products: Count = 1
    activations: Annotated[bool, Field(strict=True)] = False


class FullyConnectedFields(_Strict):
    """N outputs of K features, for each of M rows (1 unless the layer runs on a sequence)."""

    m: Count = 1
    k: Count
    n: Count


class PostFields(_Strict):
    """A post operation that reads another layer's result, or not exactly this layer's ofmap."""

    kind: PostOperationKind
    inputs: tuple[str, ...] = ()
    elements: Count | None = None


class LayerFields(_Strict):
    """One layer: a name, exactly one of `conv`, `fc` and `matmul`, what it reads, what follows it.

    Layers that give the same `weights` name share one stored tensor.
    """

    name: Annotated[str, Field(min_length=1, strict=True)]
    conv: ConvolutionFields | None = None
    fc: FullyConnectedFields | None = None
    matmul: ProductFields | None = None
    inputs: tuple[str, ...] = ()
    weights: Annotated[str, Field(min_length=1, strict=True)] | None = None
    post: tuple[Annotated[PostFields, BeforeValidator(_kind_alone)], ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> LayerFields:
        if sum(part is not None for part in (self.conv, self.fc, self.matmul)) != 1:
            raise ValueError(f"layer {self.name!r} needs exactly one of: conv, fc, matmul")
        return self


class NetworkFields(_Strict):
    """A network file: its name, where it comes from, and its layers in execution order, for one input.

    `variant` says which network of that name it is, `macs_source` where its count of MACs comes from.
    """

    name: Annotated[str, Field(min_length=1, strict=True)]
    source: Annotated[str, Field(min_length=1, strict=True)]
    variant: Annotated[str, Field(min_length=1, strict=True)] | None = None
    macs_source: Annotated[str, Field(min_length=1, strict=True)] | None = None
    layers: Annotated[tuple[LayerFields, ...], Field(min_length=1)]


def read_network(path: Path) -> Network:
    """The network in a YAML file, batch 1.

    Raises:
        UserError: unreadable, not YAML, an unknown, missing or wrong field (dotted), an impossible layer.
    """
    fields = validate(NetworkFields, load_yaml(path), source=path)
    layers = []
    for index, layer in enumerate(fields.layers):
        try:
            layers.append(_layer(layer))
        except UserError as error:
            raise UserError(str(error), source=path, location=f"layers.{index} ({layer.name})") from error
    _check_shared_weights(layers, path)
    try:
        return Network(
            fields.name,
            tuple(layers),
            source=fields.source,
            variant=fields.variant or "",
            macs_source=fields.macs_source or "",
        )
    except UserError as error:
        raise UserError(str(error), source=path) from error


def _layer(fields: LayerFields) -> Layer:
    if fields.conv is not None:
        layer = convolution_layer(fields.name, _convolution(fields.conv))
    elif fields.fc is not None:
        layer = matrix_layer(fields.name, "fc", m=fields.fc.m, n=fields.fc.n, k=fields.fc.k)
    else:
        product = fields.matmul
        assert product is not None, "the model admits exactly one kind"
        layer = matrix_layer(
            fields.name,
            "matmul",
            m=product.m,
            n=product.n,
            k=product.k,
            products=product.products,
            weights_are_activations=product.activations,
        )
    posts = tuple(_post(post, layer.ofmap_elements) for post in fields.post)
    return replace(layer.connected(fields.inputs, posts), weights=fields.weights or "")


def _check_shared_weights(layers: Sequence[Layer], path: Path) -> None:
    """Refuse weights that layers share but that differ in size, or that are computed. Raises UserError."""
    first: dict[str, Layer] = {}
    for index, layer in enumerate(layers):
        if not layer.weights:
            continue
        location = f"layers.{index} ({layer.name}).weights"
        if layer.weights_are_activations:
            raise UserError(
                "a product of two computed tensors has no weights",
                source=path,
                location=location,
                value=layer.weights,
            )
        other = first.setdefault(layer.weights, layer)
        if other.filter_elements != layer.filter_elements:
            raise UserError(
                f"layer {other.name!r} shares these weights and has {other.filter_elements} of them",
                source=path,
                location=location,
                value=layer.filter_elements,
            )


def _convolution(fields: ConvolutionFields) -> Convolution:
    return Convolution(
        batch=1,
        channels=fields.channels,
        filters=fields.filters,
        ifmap=fields.ifmap,
        kernel=fields.kernel,
        stride=fields.stride,
        padding=fields.padding,
        dilation=fields.dilation,
        groups=fields.groups,
    )


def _post(fields: PostFields, ofmap_elements: int) -> PostOperation:
    elements = ofmap_elements if fields.elements is None else fields.elements
    return PostOperation(fields.kind, elements, fields.inputs)


def network_text(network: Network) -> str:
    """A network of batch 1 as the text of a network file; `read_network` gives the same network back.

    Raises:
        UserError: the network stands for more than one input, or says not where it comes from.
    """
    if network.batch != 1:
        raise UserError("a network file describes one input", source=network.name, value=network.batch)
    if not network.source:
        raise UserError("is required but missing", source=network.name, location="source")
    header = [f"name: {_quoted(network.name)}", f"source: {_quoted(network.source)}"]
    about = {"variant": network.variant, "macs_source": network.macs_source}
    header += [f"{field}: {_quoted(text)}" for field, text in about.items() if text]
    return "\n".join([*header, "layers:"] + [f"  - {_layer_text(layer)}" for layer in network.layers]) + "\n"


def _layer_text(layer: Layer) -> str:
    parts = [f"name: {_quoted(layer.name)}", _computation_text(layer)]
    if layer.inputs:
        parts.append(f"inputs: {_names(layer.inputs)}")
    if layer.weights:
        parts.append(f"weights: {_quoted(layer.weights)}")
    if layer.post_operations:
        posts = ", ".join(_post_text(post, layer.ofmap_elements) for post in layer.post_operations)
        parts.append(f"post: [{posts}]")
    return "{" + ", ".join(parts) + "}"


def _computation_text(layer: Layer) -> str:
    if layer.convolution is None:
        fields: dict[str, str] = {} if layer.m == 1 else {"m": str(layer.m)}
        fields |= {"k": str(layer.k), "n": str(layer.n_per_group)}
        if layer.groups > 1:
            fields["products"] = str(layer.groups)
        if layer.weights_are_activations:
            fields["activations"] = "true"
        return f"{layer.kind}: {_mapping(fields)}"
    convolution = layer.convolution
    fields = {
        "ifmap": _numbers(convolution.ifmap),
        "channels": str(convolution.channels),
        "filters": str(convolution.filters),
        "kernel": _numbers(convolution.kernel),
    }
    optional = {
        "stride": (_numbers(convolution.stride), "1"),
        "padding": (_numbers(convolution.padding), "0"),
        "dilation": (_numbers(convolution.dilation), "1"),
        "groups": (str(convolution.groups), "1"),
    }
    fields |= {name: text for name, (text, default) in optional.items() if text != default}
    return f"conv: {_mapping(fields)}"


def _post_text(post: PostOperation, ofmap_elements: int) -> str:
    fields: dict[str, str] = {"kind": post.kind}
    if post.inputs:
        fields["inputs"] = _names(post.inputs)
    if post.elements != ofmap_elements:
        fields["elements"] = str(post.elements)
    return post.kind if len(fields) == 1 else _mapping(fields)


def _mapping(fields: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {text}" for name, text in fields.items()) + "}"


def _numbers(numbers: tuple[int, ...]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else f"[{', '.join(map(str, numbers))}]"


def _names(names: tuple[str, ...]) -> str:
    return f"[{', '.join(_quoted(name) for name in names)}]"


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def _quoted(name: str) -> str:
    """A YAML scalar, in quotes where YAML would otherwise read something else. JSON's quoting is YAML's."""
    plain = _PLAIN.fullmatch(name) is not None and name.lower() not in _YAML_WORDS
    return name if plain else json.dumps(name, ensure_ascii=False)
