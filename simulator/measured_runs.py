"""Runs on real tensors, from images or a recorded trace: exact toggles for the prices, and accuracy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simulator.arch import ArchConfig, load_arch
from simulator.counted_toggles import COUNTED_BATCHES, ActivityCounter, activity_of, by_group
from simulator.foundation import UserError
from simulator.foundation.callbacks import Progress
from simulator.foundation.given_values import path_text
from simulator.foundation.resources import resolve_document
from simulator.foundation.whole_numbers import is_whole
from simulator.measurements import MeasuredLayer, MeasuredRun, Measurements
from simulator.numerics import Mac, get_mac
from simulator.numerics.array_types import Codes
from simulator.workload import Layer, load_network
from simulator.workload.onnx.sizes import Sizes

if TYPE_CHECKING:
    from simulator.inference import Data, InferenceResult, Model
    from simulator.inference.overflow_counts import SumsOutside
    from simulator.inference.trace import Trace


@dataclass(frozen=True, slots=True)
class Tensors:
    """Which images a trained network runs on, and how it is put into its formats (docs/inference.md).

    Attributes:
        data: a bundled name or a file.
        policy: of all MACs that `policies` does not name; None: as each MAC's default says.
        images: only the first so many; None: all.
        policies: policies by the name of their MAC.
        preprocess: what is done to pixels (docs/data.md); None: as `load_data` has it.
        labels: where classes of image files come from; None: what there is.

    Raises:
        UserError: one of them is of another type.
    """

    data: str
    policy: str | None = None
    images: int | None = None
    policies: tuple[tuple[str, str], ...] = ()
    preprocess: str | None = None
    labels: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is of another type. Raises UserError."""
        path_text(self.data, what="data")
        for field in ("policy", "preprocess", "labels"):
            if not isinstance(getattr(self, field), str | None):
                raise UserError("is text", location=field, value=getattr(self, field))
        if self.images is not None and not is_whole(self.images):
            raise UserError("must be a whole number", location="images", value=self.images)
        if not isinstance(self.policies, tuple) or not all(map(_is_pair_of_text, self.policies)):
            raise UserError(
                "are pairs of a MAC and a policy",
                location="policies",
                value=self.policies,
                allowed="such as (('int8', 'mse'),)",
            )

    def of_macs(self, names: Collection[str]) -> Tensors:
        """The same with the policies of some MACs alone.

        Args:
            names: of those MACs.
        """
        return replace(self, policies=tuple(pair for pair in self.policies if pair[0] in names))

    def policy_choice(self, names: Iterable[str]) -> str | Mapping[str, str] | None:
        """What `plan_network` takes for a network whose layers have these MACs.

        Args:
            names: of the MACs.
        """
        if not self.policies:
            return self.policy
        chosen = {} if self.policy is None else dict.fromkeys(names, self.policy)
        return chosen | dict(self.policies)


def _is_pair_of_text(pair: object) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair)


@dataclass(frozen=True, slots=True)
class LayerArithmetic:
    """What `plan_network` takes: the MAC of all layers, those of single layers, policies."""

    mac: Mac
    layer_macs: Mapping[str, Mac]
    policy: str | Mapping[str, str] | None


def layer_arithmetic(arch: ArchConfig, model: Model, tensors: Tensors) -> LayerArithmetic:
    """How a network runs in an architecture's MACs. Raises UserError: column blocks, or an unknown MAC."""
    _require_one_mac(arch)
    layer_macs = {
        name: get_mac(config.mac, custom=arch.macs)
        for name, config in arch.layers.items()
        if config.mac is not None
    }
    general = get_mac(arch.array.mac, custom=arch.macs)
    names = [layer_macs.get(product.name, general).name for product in model.products]
    return LayerArithmetic(general, layer_macs, tensors.policy_choice(names))


def measure_on_images(
    arch: ArchConfig,
    model_name: str,
    tensors: Tensors,
    *,
    batch: int | None = None,
    sizes: Sizes | None = None,
    known: InferenceResult | None = None,
    progress: Progress | None = None,
) -> MeasuredRun:
    """Run images through a trained network in the architecture's MACs and count what toggles.

    Accuracy is over all images; toggles are of the first batches, each as the array would run it.

    Args:
        arch: the architecture.
        model_name: the network, by name or file.
        tensors: the images, and how the network gets its formats.
        batch: inferences at once; None: one.
        sizes: of inputs that the file leaves open.
        known: what all images gave, where they ran before; only the batches that are counted run again.
        progress: called after every chunk of images.

    Raises:
        UserError: a model, images or labels that do not fit, fewer images than a batch, or column blocks.
    """
    from simulator.inference import load_data, load_model, plan_network, run_plan
    from simulator.inference.inputs import shapes_of

    _require_one_mac(arch)
    model = load_model(model_name, sizes=sizes)
    chosen = load_data(tensors.data, model, preprocess=tensors.preprocess, labels=tensors.labels).first(
        tensors.images
    )
    macs_of = layer_arithmetic(arch, model, tensors)
    layers_of = {product.name: product.layer_names for product in model.products}
    if known is None:
        plan = plan_network(model, chosen, macs_of.mac, macs_of.policy, layer_macs=macs_of.layer_macs)
    else:
        model.learn_sizes(shapes_of(chosen.images, model.input))
        plan = known.plan
    network = load_network(model.path, batch=batch or 1, sizes=model.known_sizes)
    if len(chosen.images) < network.batch:
        raise UserError(
            "fewer images than one batch",
            source=tensors.data,
            value=len(chosen.images),
            allowed=f"{network.batch} or more",
        )
    macs = {name: layer.mac for name, layer in plan.layers.items()}
    configured = _with_layer_macs(arch, {layer: macs[name] for name in macs for layer in layers_of[name]})
    described = {layer.name: layer for layer in network.layers}
    firsts = {name: described[layers[0]] for name, layers in layers_of.items()}
    counter = ActivityCounter(configured, firsts, macs)
    advance = None if progress is None else lambda done, total: progress("images", done, total)
    running = chosen if known is None else _counted_images(model, chosen, network.batch)
    ran = run_plan(model, running, plan, observer=counter, progress=advance)
    result = ran if known is None else known
    layers = {
        layer: MeasuredLayer(counter.activity(name), accuracy, result.sums[name].outside)
        for name, accuracy in result.layers.items()
        for layer in layers_of[name]
    }
    blocked = sorted({mac.name for mac in macs.values() if mac.block_formats is not None})
    notes = (
        *_toggle_notes(counter.batches, chosen.source, blocked),
        _sums_note(result.sums, f"{len(chosen.images)} images of {chosen.source}"),
    )
    return MeasuredRun(configured, network, Measurements(layers, result.accuracy, notes, result.warnings))


def _toggle_notes(batches: int, source: str, blocked: list[str]) -> list[str]:
    """What was counted of toggles, and of which MACs nothing was."""
    notes = []
    if batches:
        notes.append(f"bits toggled: counted in every register over the first {batches} batches of {source}")
    if blocked:
        notes.append(f"bits toggled: assumed, not counted, of {', '.join(blocked)}, which has block scales")
    return notes


def _counted_images(model: Model, data: Data, batch: int) -> Data:
    """The images whose toggles are counted, in whole chunks."""
    from simulator.inference.chunks import images_of_a_chunk

    together = images_of_a_chunk(model, data.images)
    counted = -(-COUNTED_BATCHES * batch // together) * together
    return data.first(min(counted, len(data.images)))


def measure_recorded(
    arch: ArchConfig,
    folder: str | Path,
    *,
    mac: str | None = None,
    outputs: Path | None = None,
    progress: Progress | None = None,
) -> MeasuredRun:
    """`measure_trace` of a folder, whose codes must be for `mac` where one is named.

    Raises:
        UserError: as `load_trace` and `measure_trace`, or codes recorded for another MAC.
    """
    from simulator.inference import load_trace

    trace = load_trace(folder)
    recorded = {spec.name for layer in trace.network.layers if (spec := trace.mac(layer.name)) is not None}
    if mac is not None and recorded and recorded != {get_mac(mac, custom=arch.macs).name}:
        raise UserError(
            "its codes were recorded for another MAC",
            source=folder,
            value=mac,
            allowed=", ".join(sorted(recorded)),
        )
    return measure_trace(arch, trace, outputs=outputs, progress=progress)


def measure_trace(
    arch: ArchConfig, trace: Trace, *, outputs: Path | None = None, progress: Progress | None = None
) -> MeasuredRun:
    """Multiply a trace's recorded operands, hold the sums against the recorded ones, and count what toggles.

    A trace of codes brings its MACs; one of floats is encoded into the architecture's.

    Args:
        arch: the architecture; a trace of codes brings its MACs, and the array takes the most frequent one
            unless some layer has its own.
        trace: from `load_trace`.
        outputs: a folder for each layer's accumulators as `LAYER.npy`.
        progress: called after every layer.

    Raises:
        UserError: sums that differ from the recorded ones (with the first one's coordinates), or column
            blocks.
    """
    from simulator.inference.overflow_counts import SumsOutside, outside_warnings

    _require_one_mac(arch)
    general = get_mac(arch.array.mac, custom=arch.macs)
    specs = {layer.name: trace.mac(layer.name) for layer in trace.network.layers}
    macs = {name: general if spec is None else get_mac(spec) for name, spec in specs.items()}
    layers: dict[str, MeasuredLayer] = {}
    outside: dict[str, SumsOutside] = {}
    compared = 0
    for done, layer in enumerate(trace.network.layers, 1):
        mac = macs[layer.name]
        activations, weights = trace.operands(layer.name)
        if specs[layer.name] is None:
            activations, weights = mac.activation.encode(activations), mac.weight.encode(weights)
        from simulator.numerics import multiply

        sums = np.stack([multiply(mac, a, w).accumulators for a, w in by_group(activations, weights)])
        if specs[layer.name] is not None and sums.dtype != object:
            compared += _require_recorded(trace, layer, sums)
        if outputs is not None:
            _save(outputs, layer.name, sums)
        outside[layer.name] = SumsOutside.of(mac, np.asarray(activations), np.asarray(weights), sums)
        activity = activity_of(arch, layer.name, mac, activations, weights)
        layers[layer.name] = MeasuredLayer(activity, overflowed_sums=outside[layer.name].outside)
        if progress is not None:
            progress(trace.network.name, done, len(trace.network.layers))
    notes = (
        f"bits toggled: counted in every register over the {trace.manifest.images} recorded images",
        f"functional output: {compared} sums equal to the recorded ones",
        _sums_note(outside, f"the {trace.manifest.images} recorded images"),
    )
    warnings = tuple(outside_warnings(outside, macs))
    return MeasuredRun(
        _with_recorded_macs(arch, macs), trace.network, Measurements(layers, None, notes, warnings)
    )


def _sums_note(sums: Mapping[str, SumsOutside], where: str) -> str:
    total = sum(each.sums for each in sums.values())
    outside = sum(each.outside for each in sums.values())
    return f"accumulators: {outside:,} of {total:,} sums over {where} left them"


def tensor_files(model_name: str, tensors: Tensors) -> tuple[Path, ...]:
    """The files of a trained network and of its images and labels. Raises UserError: one cannot be found."""
    from simulator.inference.data import data_files

    model = resolve_document(model_name, "workloads", ".onnx", what="trained network")
    return (model, *data_files(tensors.data, tensors.labels))


def _with_layer_macs(arch: ArchConfig, macs: Mapping[str, Mac]) -> ArchConfig:
    """The architecture with its own MAC, and with exceptions for the layers that run in another one."""
    general = get_mac(arch.array.mac, custom=arch.macs).name
    layers = {name: own.model_dump(exclude_unset=True) for name, own in arch.layers.items()}
    for name, mac in macs.items():
        own = arch.layers.get(name)
        chosen = general if own is None or own.mac is None else get_mac(own.mac, custom=arch.macs).name
        if mac.name != chosen:
            layers[name] = layers.get(name, {}) | {"mac": mac.name}
    return load_arch(arch, {"layers": layers})


def _with_recorded_macs(arch: ArchConfig, macs: Mapping[str, Mac]) -> ArchConfig:
    """The architecture with the MACs of a trace: its own where some layer has it, else the most frequent."""
    names = [mac.name for mac in macs.values()]
    if get_mac(arch.array.mac, custom=arch.macs).name not in names:
        arch = load_arch(arch, {"array.mac": max(sorted(set(names)), key=names.count)})
    return _with_layer_macs(arch, macs)


def _require_one_mac(arch: ArchConfig) -> None:
    if arch.array.column_blocks:
        raise UserError(
            "real tensors run on arrays with one MAC",
            source=arch.name,
            location="array.column_blocks",
            allowed="none, or a run without tensors",
        )


def _require_recorded(trace: Trace, layer: Layer, sums: Codes) -> int:
    recorded = np.asarray(trace.tensor(layer.name, "accumulators"))
    wrong = np.argwhere(recorded != sums)
    if wrong.size:
        where = tuple(int(index) for index in wrong[0])
        raise UserError(
            f"recorded sum at (group, row, column) {where} is {recorded[where]}, "
            f"its operands give {sums[where]}",
            source=trace.folder,
            location=layer.name,
        )
    return int(sums.size)


def _save(folder: Path, name: str, sums: Codes) -> None:
    from simulator.foundation.files import prepare_folder, safe_name, write_array

    write_array(prepare_folder(folder) / f"{safe_name(name)}.npy", sums)
