"""Measure what the bundled networks lose in every number format, for the accuracy part of docs/results.md.

python -m tools.accuracy_table                    # all of it: many CPU minutes
python -m tools.accuracy_table --section presets  # one section; the others stay
python -m tools.accuracy_table --images 200       # a quick look, printed and not written
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simulator.counted_toggles import COUNTED_BATCHES
from simulator.foundation.paired import PairedDifference, paired_outcomes, standard_error_points
from simulator.inference import Images, Model, get_policy, infer, load_images, load_model
from simulator.inference.policies.mixed import WeightKind, Widths, smallest_widths
from simulator.measured_runs import Tensors
from simulator.numerics import preset_names
from simulator.result_accuracy import Accuracy
from simulator.simulation import simulate
from tools.accuracy_words import at_least, percent, points

PAGE = Path(__file__).resolve().parent.parent / "docs" / "results.md"
HEADING = "## Accuracy on trained networks"
NETWORKS = ("lenet5_fashion", "resnet8_fashion", "vit_fashion")
DATA = "fashion_mnist_1000"
WIDTHS = range(4, 9)
# Of the splits of each width into exponent and fraction those with two and three exponent bits compete.
EXPONENT_BITS = (2, 3)
POLICIES = ("max", "mse", "percentile", "max+gptq", "max+bias_correction", "mse+gptq+bias_correction")
POLICY_MACS = ("int8 x int8", "e4m3 x e4m3", "int4 x int4", "e2m1 x e2m1")
COLLAPSE_POINTS = 10.0
_BEHIND = (
    "In brackets are the signal-to-noise ratios of the network's outputs under `max` and under that policy. `gptq` and"
    " `bias_correction` lower the squared error of one layer's output, or of its mean, for the inputs that the layer gets. Where"
    " little of the signal is left, the least squared error lies near the mean output of all images, which says nothing about the"
    " class."
)


@dataclass(frozen=True, slots=True)
class Bench:
    """The networks and the images that all sections measure on, and what was measured already."""

    models: tuple[Model, ...]
    data: Images
    measured: dict[tuple[str, str, str | None, int], Accuracy] = field(default_factory=dict)
    logits_sqnr_db: dict[tuple[str, str, str | None, int], float | None] = field(default_factory=dict)

    def accuracy(self, model: Model, mac: str, policy: str | None = None) -> Accuracy:
        """Accuracy on the test images, measured once and printed as it is measured."""
        return self._on(self.data, model, mac, policy)

    def sqnr_db(self, model: Model, mac: str, policy: str) -> float | None:
        """Signal-to-noise ratio of the outputs on the test images against float32; None without noise."""
        self.accuracy(model, mac, policy)
        return self.logits_sqnr_db[model.name, mac, policy, len(self.data.images)]

    def calibration_accuracy(self, model: Model, mac: str, policy: str) -> Accuracy:
        """Accuracy on the calibration images, for choices that must not be made on the test images."""
        assert self.data.calibration is not None
        alone = Images(
            f"calibration of {self.data.source}",
            self.data.calibration,
            self.data.calibration_labels,
            self.data.calibration,
        )
        return self._on(alone, model, mac, policy)

    def _on(self, data: Images, model: Model, mac: str, policy: str | None) -> Accuracy:
        key = model.name, mac, policy, len(data.images)
        if key not in self.measured:
            result = infer(model, data, mac, policy)
            self.measured[key] = result.accuracy
            last = result.layers[model.last_product]
            self.logits_sqnr_db[key] = last.sqnr_db
            top1 = result.accuracy.top1
            assert top1 is not None
            print(f"{model.name:16} {mac:14} {policy or 'default':28} {100 * top1:.1f}", flush=True)
            for warning in result.warnings:
                print(f"    {warning}", flush=True)
        return self.measured[key]


def presets_section(bench: Bench) -> str:
    """Accuracy of every MAC preset on every network."""
    lines = []
    for model in bench.models:
        found = {mac: bench.accuracy(model, mac) for mac in preset_names()}
        lines += [f"#### {model.name}: float32 {percent(found['fp32'].top1_float32)}", ""]
        lines += [
            "| MAC | policy | images | top-1 | above float32, points | top-5 | agreement with float32 |"
        ]
        lines += ["|---|---|---:|---:|---:|---:|---:|"]
        for mac, accuracy in found.items():
            others = [other for name, other in found.items() if name != mac]
            top1 = percent(accuracy.top1)
            lines.append(
                f"| {mac} | {accuracy.policy} | {accuracy.images:,} | {f'**{top1}**' if _is_best(accuracy, others) else top1} "
                f"| {points(accuracy.above_float32)} | {percent(accuracy.top5)} "
                f"| {percent(accuracy.agreement_with_float32)} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def costs_section(bench: Bench) -> str:
    """Cycles and energy of one inference, bits counted that toggle."""
    lines = ["| network | MAC | policy | cycles | energy, uJ |", "|---|---|---|---:|---:|"]
    for model in bench.models:
        for mac in preset_names():
            tensors = Tensors(DATA, images=min(COUNTED_BATCHES, len(bench.data.images)))
            result = simulate(str(model.path), "int8_32x32", mac=mac, tensors=tensors)
            assert result.accuracy is not None
            energy_pj = result.totals.energy_pj
            shown = "not priced" if energy_pj is None else f"{energy_pj / 1e6:.2f}"
            print(f"{model.name:16} {mac:14} {shown} uJ", flush=True)
            lines.append(
                f"| {model.name} | {mac} | {result.accuracy.policy} | {result.totals.cycles:,} | {shown} |"
            )
    return "\n".join(lines)


def policies_section(bench: Bench) -> str:
    """What calibration and rounding do at 8 and 4 bits, beside the largest magnitude alone."""
    lines = [
        "| network | MAC | policy | images | top-1 | above `max`, points | above float32, points |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    behind: dict[str, list[str]] = {"8": [], "4": []}
    for model in bench.models:
        for mac in POLICY_MACS:
            largest = bench.accuracy(model, mac, "max")
            for policy in POLICIES:
                accuracy = bench.accuracy(model, mac, policy)
                difference = _above(accuracy, largest)
                lines.append(
                    f"| {model.name} | {mac.partition(' ')[0]} | {policy} | {accuracy.images:,} | {percent(accuracy.top1)} "
                    f"| {'' if policy == 'max' else points(difference)} | {points(accuracy.above_float32)} |"
                )
                if difference.points < -1:
                    bits = "8" if mac in POLICY_MACS[:2] else "4"
                    ratios = [bench.sqnr_db(model, mac, each) for each in ("max", policy)]
                    shown = " and ".join("no noise" if each is None else f"{each:.1f} dB" for each in ratios)
                    behind[bits].append(f"`{policy}` in {mac.partition(' ')[0]} on {model.name} ({shown})")
    told = [
        f"More than a point below `max` at {bits} bits: {'; '.join(found) if found else 'none'}."
        for bits, found in behind.items()
    ]
    if any(behind.values()):
        told.append(_BEHIND)
    return "\n".join([*lines, "", " ".join(told)])


def log_float_section(bench: Bench) -> str:
    """Claim: log float within 0.9 points of float32 without calibration."""
    lines = [
        "| network | policy | images | float32 | elma8 | above float32, points | at most 1 point lost |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for model in bench.models:
        for policy in ("drop_in", "drop_in+last_exponent=-4"):
            accuracy = bench.accuracy(model, "elma8", policy)
            above = accuracy.above_float32
            assert above is not None
            lines.append(
                f"| {model.name} | {policy} | {accuracy.images:,} | {percent(accuracy.top1_float32)} "
                f"| {percent(accuracy.top1)} | {points(above)} | {at_least(above, -1.0)} |"
            )
    return "\n".join(lines)


def posit_section(bench: Bench) -> str:
    """Claim: posit(8,0) collapses where posit(8,1) does not."""
    lines = [
        "| network | policy | images | float32 | (8,1), posit8 | (8,0) | (8,1) above (8,0), points | (8,0) collapses |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    shown = 0
    for model in bench.models:
        one = bench.accuracy(model, "posit8", "drop_in")
        zero = bench.accuracy(model, "posit8.0 x posit8.0", "drop_in")
        difference = _above(one, zero)
        verdict = at_least(difference, COLLAPSE_POINTS)
        shown += verdict == "yes"
        lines.append(
            f"| {model.name} | drop_in | {one.images:,} | {percent(one.top1_float32)} | {percent(one.top1)} "
            f"| {percent(zero.top1)} | {points(difference)} | {verdict} |"
        )
    told = (
        f"Shown by {shown} of {len(bench.models)} networks." if shown else "None of these networks shows it."
    )
    return "\n".join([*lines, "", told])


def mixed_section(bench: Bench) -> str:
    """Claim: float weights with fixed-point activations need less storage than fixed-point weights."""
    lines = [
        "| network | weights | activations | calibration images | above float32 there, points | pairs tried | storage saved |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    shown = 0
    errors = []
    for model in bench.models:
        kinds: tuple[WeightKind, WeightKind] = ("float", "fixed")
        floats, fixed = (
            smallest_widths(model, bench.data, get_policy("mixed+loss=1"), weights=kind) for kind in kinds
        )
        saved = 1 - floats.weight_bits / fixed.weight_bits
        shown += saved > 0
        errors.append(standard_error_points(floats.float32_accuracy / 100, floats.above_float32.images))
        for found, share in ((floats, f"{100 * saved:.0f} %"), (fixed, "")):
            print(model.name, found.weight, found.activation, found.tried, flush=True)
            lines.append(_widths_row(model, found, share))
    told = (
        f"Float weights save storage on {shown} of {len(bench.models)} networks. A point is within the noise of these calibration"
        f" images: the standard error of an accuracy on them is {min(errors):.1f} to {max(errors):.1f} points, so widths one bit"
        " apart are not told apart for sure."
    )
    return "\n".join([*lines, "", told])


def _widths_row(model: Model, found: Widths, saved: str) -> str:
    above = found.above_float32
    searched = "all narrower" if found.exhaustive else "one width after the other"
    return (
        f"| {model.name} | {found.weight.replace('int', 'fix')} ({found.weight_bits} bits) "
        f"| {found.activation.replace('int', 'fix')} | {above.images} | {points(above)} "
        f"| {searched}: {len(found.tried) - 1} | {saved} |"
    )


def widths_section(bench: Bench) -> str:
    """Claim: minifloats typically above integers from four bits on."""
    lines = [
        "| network | bits | policy | images | integer | minifloat | which | minifloat above integer, points |",
        "|---|---:|---|---:|---:|---:|---|---:|",
    ]
    verdicts = []
    for model in bench.models:
        gained: list[PairedDifference] = []
        for bits in WIDTHS:
            integer = bench.accuracy(model, f"int{bits} x int{bits}", "mse")
            specs = [f"e{e}m{bits - 1 - e}" for e in EXPONENT_BITS if bits - 1 - e >= 0]
            which = max(
                specs,
                key=lambda spec: bench.calibration_accuracy(model, f"{spec} x {spec}", "mse").top1 or 0,
            )
            minifloat = bench.accuracy(model, f"{which} x {which}", "mse")
            difference = _above(minifloat, integer)
            lines.append(
                f"| {model.name} | {bits} | mse | {integer.images:,} | {percent(integer.top1)} | {percent(minifloat.top1)} "
                f"| {which} | {points(difference)} |"
            )
            gained.append(difference)
        verdicts.append(
            f"{model.name}: above the integer by more than the noise at {sum(each.low > 0 for each in gained)} of"
            f" {len(gained)} widths, below it at {sum(each.high < 0 for each in gained)};"
            f" {sum(each.points for each in gained) / len(gained):+.1f} points on average."
        )
    return "\n".join([*lines, "", " ".join(verdicts)])


SECTIONS: dict[str, tuple[str, str, Callable[[Bench], str]]] = {
    "presets": (
        "Every MAC on every bundled network",
        "Policies are each MAC's default ([inference](inference.md)). The best of a network would be in bold type if it were above all "
        "others by more than the noise.",
        presets_section,
    ),
    "costs": (
        "Cycles and energy of the bundled networks",
        "One inference, `systolic simulate NETWORK --data fashion_mnist_1000 --mac MAC` on `int8_32x32`: dynamic energy follows the bits "
        "that toggled in the PE registers over the first 8 images.",
        costs_section,
    ),
    "policies": (
        "Calibration and rounding at 8 and 4 bits",
        "Activations and weights in the same format. `max` looks at nothing but the largest magnitudes. Where `bias_correction` costs classes "
        "on the calibration images it is [left out](inference.md): the row then equals that without it.",
        policies_section,
    ),
    "log_float": (
        "Log float without calibration (Johnson 2018)",
        "Claim: dropping (8,1,5,5,7) log float in, round to nearest even, no calibration, loses 0.90 points on ResNet-50 with an exponent "
        "bias of -4 at the last layer, and 0.5 to 1 point more without. Here the bias is `last_exponent=-4`.",
        log_float_section,
    ),
    "posit": (
        "posit(8,0) and posit(8,1) (Johnson 2018)",
        f"Claim: without calibration (8,0) collapses where (8,1) does not. Collapse here: {COLLAPSE_POINTS:.0f} points or more below (8,1).",
        posit_section,
    ),
    "mixed": (
        "Float weights, fixed-point activations (Lai et al. 2017)",
        "Claim: at equal accuracy floating-point weights need less storage than fixed-point ones. The smallest widths that lose at most 1 "
        "point on the calibration images, per-tensor power-of-two scales: `mixed+loss=1`, and the same with fixed-point weights.",
        mixed_section,
    ),
    "widths": (
        "Minifloats and integers of 4 to 8 bits (Aggarwal et al. 2024)",
        "Claim: minifloats typically outperform integers at four bits and more, and integers often keep their Pareto optimality. Policy "
        "`mse`: activations scaled per tensor, weights per channel, nearest rounding. The minifloat of a width is the split with 2 or 3 "
        "exponent bits that has most calibration images right; test images have no part in the choice.",
        widths_section,
    ),
}


INTRODUCTION = f"""\
Measured by `python -m tools.accuracy_table` on the 1,000 test images of `{DATA}`; calibration on its 256 calibration images, which are
training images. A top-1 figure alone has a standard error of about 1 point. Differences are of the same images, in points, with their
95 % interval in brackets ([noise](inference.md)). A test measures some of the rows anew."""


def section_text(key: str, bench: Bench) -> str:
    """One section with its heading and what it claims."""
    title, text, section = SECTIONS[key]
    return f"### {title}\n\n{text}\n\n{section(bench)}\n"


def replaced(page: str, key: str, text: str) -> str:
    """The page with the introduction and one section exchanged, or put at its end where it is missing."""
    costs, _, measured = page.partition(HEADING)
    _, mark, sections = measured.partition("\n### ")
    page = f"{costs.rstrip()}\n\n{HEADING}\n\n{INTRODUCTION}\n{mark}{sections}"
    title = f"### {SECTIONS[key][0]}\n"
    if title not in page:
        return f"{page.rstrip()}\n\n{text}"
    before, after = page.split(title)
    _, mark, rest = after.partition("\n### ")
    return before + text + (mark + rest if mark else "")


def _above(accuracy: Accuracy, other: Accuracy) -> PairedDifference:
    assert accuracy.images_hash == other.images_hash
    return paired_outcomes(accuracy.outcomes, other.outcomes)


def _is_best(accuracy: Accuracy, others: Sequence[Accuracy]) -> bool:
    return all(_above(accuracy, other).low > 0 for other in others)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, help="only so many test images; the text is then printed")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--section", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    arguments = parser.parse_args()
    models = tuple(load_model(name) for name in arguments.networks)
    bench = Bench(models, load_images(DATA).first(arguments.images))
    whole = arguments.images is None and arguments.networks == list(NETWORKS)
    for key in arguments.section:
        text = section_text(key, bench)
        if whole:
            PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), key, text), encoding="utf-8")
            print(f"wrote section {key!r} of {PAGE.name}")
        else:
            print(text)


if __name__ == "__main__":
    main()
