"""A trained network on real images through a MAC's arithmetic, beside float32."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.arithmetic import MacOutput, float32_product, mac_product
from simulator.inference.calibration import calibrate
from simulator.inference.execute import chunks, execute
from simulator.inference.images import Images, require_labels, require_shape
from simulator.inference.metrics import Deviation, deviation, ranking, top_k
from simulator.inference.model import Model
from simulator.inference.overflow import SumsOutside, outside_warnings
from simulator.inference.plan import NetworkPlan
from simulator.inference.policies import (
    Policy,
    convert,
    default_policy,
    get_policy,
    needs_calibration,
    unsuited,
)
from simulator.inference.policies.mixed import smallest_widths
from simulator.inference.products import Product
from simulator.numerics import Mac, MacSpec, get_mac
from simulator.numerics.engines.threads import available_cores
from simulator.result_accuracy import Accuracy, LayerAccuracy, pack_outcomes

Tensor = NDArray[Any]
MacChoice = str | Mapping[str, Any] | MacSpec | Mac
PolicyChoice = str | Policy | Mapping[str, str | Policy] | None
"""A policy for all MACs, or by name of the MAC; None, and a MAC without one: as `default_policy` says."""

Progress = Callable[[int, int], None]
"""Called with the images done and the images to do."""

Observer = Callable[[Product, MacOutput], None]
"""Sees every layer's operands and accumulators, in execution order within a chunk of images."""


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """Accuracy of the whole and of every layer, the outputs [N, classes] of both runs, and the plan.

    `sums` says for each layer how many sums left their accumulator.
    """

    accuracy: Accuracy
    layers: Mapping[str, LayerAccuracy]
    logits: NDArray[np.float32]
    float32_logits: NDArray[np.float32]
    plan: NetworkPlan
    engines: Mapping[str, str]
    sums: Mapping[str, SumsOutside]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Policies that do not suit a MAC, and layers whose sums left the accumulator."""
        macs = {name: layer.mac for name, layer in self.plan.layers.items()}
        return (*self.plan.warnings, *outside_warnings(self.sums, macs))


def infer(
    model: Model,
    data: Images,
    mac: MacChoice = "int8",
    policy: PolicyChoice = None,
    *,
    layer_macs: Mapping[str, MacChoice] | None = None,
    observer: Observer | None = None,
    progress: Progress | None = None,
) -> InferenceResult:
    """Run images through a network in a MAC's formats and in float32, and compare.

    Args:
        model: from `load_model`.
        data: from `load_images`.
        mac: the MAC of every layer.
        policy: how the network is put into its formats (docs/inference.md), one for all MACs or by name of
            the MAC; None: as `default_policy` says for each.
        layer_macs: MACs of single layers by name, where they differ.
        observer: sees the operands and accumulators of every layer of every chunk; then one chunk runs at a
            time, in order.
        progress: told how far it is.

    Returns:
        The result; the same bits whatever the number of threads.

    Raises:
        UserError: images or labels that do not fit the network, an unknown MAC, policy or layer, or a network
            whose output is not one value for each class.
    """
    plan = plan_network(model, data, mac, policy, layer_macs=layer_macs)
    return run_plan(model, data, plan, observer=observer, progress=progress)


def plan_network(
    model: Model,
    data: Images,
    mac: MacChoice = "int8",
    policy: PolicyChoice = None,
    *,
    layer_macs: Mapping[str, MacChoice] | None = None,
) -> NetworkPlan:
    """Put a network into number formats; see `infer` for arguments and errors."""
    require_shape(data, model.input_shape, network=model.name)
    macs = _macs(model, mac, layer_macs or {})
    policies = _policies(model, macs, policy)
    searching = [policy for policy in policies.values() if policy.search]
    if searching:
        if layer_macs or len(set(policies.values())) > 1:
            raise UserError(
                "chooses the MAC of all layers and leaves no room for others",
                location="policy",
                value=searching[0].name,
            )
        return smallest_widths(model, data, searching[0]).plan
    look = any(map(needs_calibration, policies.values()))
    observed = calibrate(model, data.for_calibration) if look else {}
    plan = convert(model, policies, macs, observed, data.for_calibration)
    problems = (unsuited(policies[name], macs[name]) for name in macs)
    return replace(plan, warnings=(*dict.fromkeys(filter(None, problems)), *plan.warnings))


def _policies(model: Model, macs: Mapping[str, Mac], choice: PolicyChoice) -> dict[str, Policy]:
    """The policy of each layer, by name."""
    if choice is not None and not isinstance(choice, Mapping):
        return dict.fromkeys(macs, get_policy(choice))
    given = choice or {}
    known = {mac.name for mac in macs.values()}
    for name in given:
        if name not in known:
            raise UserError(
                "policy is for a MAC that no layer has", source=model.path, value=name, candidates=known
            )
    return {layer: get_policy(given.get(mac.name, default_policy(mac))) for layer, mac in macs.items()}


def _macs(model: Model, mac: MacChoice, layer_macs: Mapping[str, MacChoice]) -> dict[str, Mac]:
    names = [product.name for product in model.products]
    for name in layer_macs:
        if name not in names:
            raise UserError("unknown layer", source=model.path, value=name, candidates=names)
    return {name: get_mac(layer_macs.get(name, mac)) for name in names}


@dataclass(frozen=True, slots=True)
class _Chunk:
    logits: Tensor
    float32_logits: Tensor
    deviations: Mapping[str, Deviation]
    sums: Mapping[str, SumsOutside]
    engines: Mapping[str, str]


def run_plan(
    model: Model,
    data: Images,
    plan: NetworkPlan,
    *,
    observer: Observer | None = None,
    progress: Progress | None = None,
) -> InferenceResult:
    """Run images through a planned network; see `infer`."""
    require_shape(data, model.input_shape, network=model.name)
    parts = chunks(data.images)
    done: list[_Chunk] = []
    with ThreadPoolExecutor(1 if observer else available_cores()) as pool:
        for result in pool.map(lambda images: _run_chunk(model, images, plan, observer), parts):
            done.append(result)
            if progress is not None:
                progress(sum(len(chunk.logits) for chunk in done), len(data.images))
    logits = np.concatenate([chunk.logits for chunk in done])
    reference = np.concatenate([chunk.float32_logits for chunk in done])
    require_labels(data, logits.shape[1])
    totals: dict[str, Deviation] = {product.name: Deviation() for product in model.products}
    sums: dict[str, SumsOutside] = {product.name: SumsOutside() for product in model.products}
    for chunk in done:
        for name, part in chunk.deviations.items():
            totals[name] = totals[name] + part
            sums[name] = sums[name] + chunk.sums[name]
    return InferenceResult(
        _accuracy(data, logits, reference, plan),
        {name: total.summary() for name, total in totals.items()},
        logits,
        reference,
        plan,
        done[0].engines,
        sums,
    )


def _run_chunk(
    model: Model, images: NDArray[np.float32], plan: NetworkPlan, observer: Observer | None
) -> _Chunk:
    expected: dict[str, deque[Tensor]] = {}
    deviations: dict[str, Deviation] = {}
    sums: dict[str, SumsOutside] = {}
    engines: dict[str, str] = {}

    def in_float32(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
        outputs = float32_product(product, activations, second)
        expected.setdefault(product.name, deque()).append(outputs)
        return outputs

    def in_formats(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
        output = mac_product(product, plan.layers[product.name], activations, second)
        reference = expected[product.name].popleft()
        before = deviations.get(product.name, Deviation())
        deviations[product.name] = before + deviation(reference, output.values, output.operands)
        mac, operands = plan.layers[product.name].mac, output.operands
        outside = SumsOutside.of(mac, operands.activations, operands.weights, output.accumulators)
        sums[product.name] = sums.get(product.name, SumsOutside()) + outside
        engines[product.name] = f"{output.engine}: {output.reason}"
        if observer is not None:
            observer(product, output)
        return output.values

    float32_logits = execute(model, images, in_float32)
    logits = execute(model, images, in_formats)
    if float32_logits.ndim != 2 or len(float32_logits) != len(images):
        raise UserError(
            "output is not one value for each class",
            source=model.path,
            location=model.output,
            value=float32_logits.shape,
        )
    return _Chunk(logits, float32_logits, deviations, sums, engines)


def _accuracy(data: Images, logits: Tensor, reference: Tensor, plan: NetworkPlan) -> Accuracy:
    labels = data.labels
    answers, wanted = ranking(logits)[:, 0], ranking(reference)[:, 0]
    return Accuracy(
        images=len(data.images),
        top1=None if labels is None else top_k(logits, labels, 1),
        top5=None if labels is None else top_k(logits, labels, 5),
        top1_float32=None if labels is None else top_k(reference, labels, 1),
        top5_float32=None if labels is None else top_k(reference, labels, 5),
        agreement_with_float32=float((answers == wanted).mean()),
        policy=plan.policy,
        choices=dict(plan.choices),
        data=data.source,
        images_hash=data.fingerprint,
        right=pack_outcomes(answers == (wanted if labels is None else labels)),
        right_float32="" if labels is None else pack_outcomes(wanted == labels),
    )
