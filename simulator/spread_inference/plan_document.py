"""A network in its number formats as a document, so that it is made once and every worker reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.inference.block_layers import BlockWeights
from simulator.inference.quantization import LayerPlan, NetworkPlan
from simulator.numerics import Mac, get_mac
from simulator.numerics.mac_config import read_spec
from simulator.spread_inference.array_document import ArraySection, Real, Section, read_document


class BlockSection(Section):
    """Weights in a block-scaled format; arrays as `BlockWeights` has them."""

    elements: ArraySection
    scales: ArraySection
    tensor_scale: Real


class LayerSection(Section):
    """One layer; `mac` is a place in the plan's list of MACs."""

    mac: int
    activation_scale: Real
    weight_scale: Real | ArraySection
    weight_codes: ArraySection | None
    bias: ArraySection | None
    migration: ArraySection | None
    through_output: bool
    output_exponent: int
    block_weights: BlockSection | None = None


class PlanDocument(Section):
    """A `NetworkPlan`. `label` names MAC and policy for people."""

    kind: Literal["plan"] = "plan"
    label: str
    policy: str
    choices: dict[str, Any]
    warnings: tuple[str, ...]
    macs: tuple[dict[str, Any], ...]
    layers: dict[str, LayerSection]


def plan_text(plan: NetworkPlan, label: str) -> str:
    """A plan as JSON on one line."""
    macs: dict[Mac, int] = {}
    for layer in plan.layers.values():
        macs.setdefault(layer.mac, len(macs))
    return PlanDocument(
        label=label,
        policy=plan.policy,
        choices=dict(plan.choices),
        warnings=plan.warnings,
        macs=tuple(mac.spec.document() for mac in macs),
        layers={name: _section(layer, macs) for name, layer in plan.layers.items()},
    ).model_dump_json()


def read_plan(text: str, *, source: object) -> NetworkPlan:
    """The plan of a text that `plan_text` made. Raises UserError where it is none."""
    read = read_document(PlanDocument, text, source=source, what="a plan of a network")
    macs = [get_mac(read_spec(each)) for each in read.macs]
    layers = {name: _layer(section, macs) for name, section in read.layers.items()}
    return NetworkPlan(read.policy, layers, read.choices, read.warnings)


def _section(layer: LayerPlan, macs: Mapping[Mac, int]) -> LayerSection:
    scale = layer.weight_scale
    return LayerSection(
        mac=macs[layer.mac],
        activation_scale=float(layer.activation_scale),
        weight_scale=ArraySection.of(scale) if isinstance(scale, np.ndarray) else float(scale),
        weight_codes=_kept(layer.weight_codes),
        bias=_kept(layer.bias),
        migration=_kept(layer.migration),
        through_output=layer.through_output,
        output_exponent=layer.output_exponent,
        block_weights=None if layer.block_weights is None else _block_section(layer.block_weights),
    )


def _layer(section: LayerSection, macs: list[Mac]) -> LayerPlan:
    scale = section.weight_scale
    return LayerPlan(
        macs[section.mac],
        section.activation_scale,
        scale.array() if isinstance(scale, ArraySection) else scale,
        _read(section.weight_codes),
        _read(section.bias),
        _read(section.migration),
        section.through_output,
        section.output_exponent,
        None if section.block_weights is None else _block_weights(section.block_weights),
    )


def _block_section(weights: BlockWeights) -> BlockSection:
    return BlockSection(
        elements=ArraySection.of(weights.elements),
        scales=ArraySection.of(weights.scales),
        tensor_scale=float(weights.tensor_scale),
    )


def _block_weights(section: BlockSection) -> BlockWeights:
    return BlockWeights(section.elements.array(), section.scales.array(), np.float32(section.tensor_scale))


def _kept(array: NDArray[Any] | None) -> ArraySection | None:
    return None if array is None else ArraySection.of(array)


def _read(section: ArraySection | None) -> NDArray[Any] | None:
    return None if section is None else section.array()
