"""A trained network on real images through a MAC's arithmetic, beside float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.foundation.callbacks import Advance
from simulator.inference.calibration import EXTENTS, Calibrations, Observation
from simulator.inference.chunk_figures import Chunk
from simulator.inference.chunk_runs import Observer, run_chunk, run_chunk_of_plans
from simulator.inference.chunks import hashed_chunks
from simulator.inference.float32_outputs import Float32Outputs
from simulator.inference.images import Data, Fingerprint, require_shape
from simulator.inference.inputs import Feed, shapes_of
from simulator.inference.model import Model
from simulator.inference.output_sink import OutputSink, Unsaved
from simulator.inference.overflow_counts import SumsOutside, outside_warnings
from simulator.inference.policies import (
    Policy,
    convert,
    default_policy,
    get_policy,
    needed_extent,
    needs_calibration,
    require_suited,
    unsuited,
)
from simulator.inference.policies.mixed import smallest_widths
from simulator.inference.quantization import NetworkPlan
from simulator.inference.tally import Tally
from simulator.numerics import Mac, MacSpec, get_mac
from simulator.numerics.array_types import Tensor
from simulator.numerics.engines.threads import available_cores, in_order
from simulator.result_accuracy import Accuracy, LayerAccuracy
from simulator.workload.onnx.network import folded_notes

if TYPE_CHECKING:
    from simulator.numerics.gpu import Device

MacChoice = str | Mapping[str, Any] | MacSpec | Mac
PolicyChoice = str | Policy | Mapping[str, str | Policy] | None
"""A policy for all MACs, or by name of the MAC; None, and a MAC without one: as `default_policy` says."""


@dataclass(frozen=True, slots=True, repr=False)
class InferenceResult:
    """Accuracy of the whole and of every layer, the judged output of both runs, and the plan.

    Attributes:
        accuracy: of all images, beside float32: `top1`, `top5`, `agreement_with_float32` and others.
        layers: how far each layer's output is from float32's, by layer.
        logits: the judged output [N, ...] through the MAC, float32; empty where outputs went into a sink.
        float32_logits: the same output in float32.
        plan: what the network was put into: formats, scales and weights of every layer.
        engines: what computed each layer's products.
        sums: how many sums of each layer left their accumulator.
        notes: what was assumed or not used, a sentence each.
    """

    accuracy: Accuracy
    layers: Mapping[str, LayerAccuracy]
    logits: NDArray[np.float32]
    float32_logits: NDArray[np.float32]
    plan: NetworkPlan
    engines: Mapping[str, str]
    sums: Mapping[str, SumsOutside]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        told = [f"{self.accuracy.images:,} images", f"{len(self.layers)} layers"]
        if self.accuracy.top1 is not None:
            told.append(f"top-1 {self.accuracy.top1:.1%}")
        if self.accuracy.top1_float32 is not None:
            told.append(f"float32 {self.accuracy.top1_float32:.1%}")
        if self.accuracy.agreement_with_float32 is not None:
            told.append(f"agreement {self.accuracy.agreement_with_float32:.1%}")
        macs = ", ".join(dict.fromkeys(layer.mac.name for layer in self.plan.layers.values()))
        return f"<inference in {macs}: {', '.join(told)}>"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Policies that do not suit a MAC, sums that left the accumulator, data not used, folded products."""
        macs = {name: layer.mac for name, layer in self.plan.layers.items()}
        return (*self.plan.warnings, *outside_warnings(self.sums, macs), *self.notes)


def infer(
    model: Model,
    data: Data,
    mac: MacChoice = "int8",
    policy: PolicyChoice = None,
    *,
    layer_macs: Mapping[str, MacChoice] | None = None,
    observer: Observer | None = None,
    progress: Advance | None = None,
    device: Device | None = None,
) -> InferenceResult:
    """Run images through a network in a MAC's formats and in float32, and compare.

    Args:
        model: from `load_model`.
        data: from `load_data` or `load_images`.
        mac: the MAC of every layer.
        policy: how the network is put into its formats (docs/inference.md), one for all MACs or by name of
            the MAC; None: as `default_policy` says for each.
        layer_macs: MACs of single layers by name, where they differ.
        observer: sees the operands and accumulators of every layer of every chunk; then one chunk runs at a
            time, in order.
        progress: told how far it is.
        device: a GPU (`simulator.numerics.gpu.open_device`); None: the CPU. The result's bits are the same.

    Returns:
        The result; the same bits whatever the number of threads.

    Raises:
        UserError: images or labels that do not fit the network, an unknown MAC, policy or layer, or a network
            whose output is not one value for each class.
    """
    plan = plan_network(model, data, mac, policy, layer_macs=layer_macs)
    return run_plan(model, data, plan, observer=observer, progress=progress, device=device)


def plan_network(
    model: Model,
    data: Data,
    mac: MacChoice = "int8",
    policy: PolicyChoice = None,
    *,
    layer_macs: Mapping[str, MacChoice] | None = None,
    calibrations: Calibrations | None = None,
) -> NetworkPlan:
    """Put a network into number formats; see `infer` for arguments and errors.

    `calibrations` of the same network and images serve one plan after the other; None: they are made anew.
    """
    model.learn_sizes(shapes_of(data.images, model.input))
    require_shape(data, model.input_shape, network=model.name)
    macs = _macs(model, mac, layer_macs or {})
    policies = _policies(model, macs, policy)
    for name, each in policies.items():
        require_suited(each, macs[name])
    searching = [policy for policy in policies.values() if policy.search]
    if searching:
        if layer_macs or len(set(policies.values())) > 1:
            raise UserError(
                "chooses the MAC of all layers and leaves no room for others",
                location="policy",
                value=searching[0].name,
            )
        return smallest_widths(model, data, searching[0], calibrations=calibrations).plan
    observed: Mapping[str, Observation] = {}
    if any(map(needs_calibration, policies.values())):
        known = calibrations or Calibrations(model, data.for_calibration)
        needed = map(needed_extent, policies.values())
        observed = known.with_extent(min(needed, key=EXTENTS.index))  # the most that any of them needs
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


def run_plan(
    model: Model,
    data: Data,
    plan: NetworkPlan,
    *,
    observer: Observer | None = None,
    progress: Advance | None = None,
    sink: OutputSink | None = None,
    device: Device | None = None,
    reference: Float32Outputs | None = None,
) -> InferenceResult:
    """Run images through a planned network; see `infer`.

    Images go through in chunks, in order; only a few chunks are in memory at a time. `sink` takes all outputs
    of each; None: the judged output is kept in the result. With a `device`, whole networks run there; an
    observer needs operands in memory, and so the CPU. With a `reference` of these images the CPU does not
    compute float32 again; layers then say what their operands lost, and not how far they are from float32.
    """
    model.learn_sizes(shapes_of(data.images, model.input))
    require_shape(data, model.input_shape, network=model.name)
    tally = Tally(model, data, sink)
    fingerprint = Fingerprint(data.images.shape)
    for chunk in _chunks(model, data, plan, tally, fingerprint, observer, device, reference):
        tally.add(chunk)
        if progress is not None:
            progress(tally.images, len(data.images))
    images_hash = fingerprint.finish(data.labels)
    if reference is not None:
        reference.require_same(images_hash)
    return result_of(tally, plan, images_hash)


def run_plans(
    model: Model, data: Data, plans: Sequence[NetworkPlan], *, progress: Advance | None = None
) -> list[InferenceResult]:
    """Run images through a network once in float32 and once in each plan; results as `run_plan` gives them.

    Outputs are not kept. `progress` is told how far it is.

    Raises:
        UserError: as `run_plan`, of the first plan that cannot run.
    """
    model.learn_sizes(shapes_of(data.images, model.input))
    require_shape(data, model.input_shape, network=model.name)
    tallies = [Tally(model, data, Unsaved()) for _ in plans]
    fingerprint = Fingerprint(data.images.shape)

    def run(part: tuple[int, Feed]) -> list[Chunk]:
        return run_chunk_of_plans(model, part[1], plans)

    done = 0
    for chunks in in_order(hashed_chunks(model, data.images, fingerprint), run, threads=available_cores()):
        for tally, chunk in zip(tallies, chunks, strict=True):
            tally.add(chunk)
        if progress is not None:
            done += chunks[0].images
            progress(done, len(data.images))
    images_hash = fingerprint.finish(data.labels)
    return [result_of(tally, plan, images_hash) for tally, plan in zip(tallies, plans, strict=True)]


def result_of(tally: Tally, plan: NetworkPlan, images_hash: str) -> InferenceResult:
    """What all images of a run came to; `images_hash` is their `Fingerprint`."""
    model = tally.model
    accuracy = tally.accuracy(plan, images_hash)
    total = tally.total
    return InferenceResult(
        accuracy,
        {product.name: total.deviations[product.name].summary() for product in model.products},
        _joined(tally.logits),
        _joined(tally.float32_logits),
        plan,
        total.engines,
        total.sums,
        (*tally.all_notes(), *folded_notes(model.program.folded)),
    )


def _chunks(
    model: Model,
    data: Data,
    plan: NetworkPlan,
    tally: Tally,
    fingerprint: Fingerprint,
    observer: Observer | None,
    device: Device | None,
    reference: Float32Outputs | None,
) -> Iterator[Chunk]:
    """Chunks of images in order, by the CPU or a device; notes say where the device did not do it."""
    if device is not None:
        from simulator.inference.gpu import DeviceChunks

        on_device = DeviceChunks(device, model, plan)
        reason = on_device.refusal(data.images) if observer is None else "layers are observed"
        if reason is None:
            yield from on_device.run(data.images, fingerprint.add)
            tally.notes.update(on_device.notes())
            return
        tally.notes["device"] = f"the network ran on the CPU, not on {device.name}: {reason}"
    threads = 1 if observer else available_cores()
    parts = hashed_chunks(model, data.images, fingerprint)

    def run(part: tuple[int, Feed]) -> Chunk:
        start, images = part
        known = None if reference is None else reference.part(start, len(images))
        return run_chunk(model, images, plan, observer, known)

    yield from in_order(parts, run, threads=threads)


def _joined(parts: list[Tensor]) -> Tensor:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
