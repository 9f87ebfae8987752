"""Measure what the bundled networks lose in every number format, for the accuracy part of docs/results.md.

python -m tools.accuracy_table                    # all of it: many CPU minutes
python -m tools.accuracy_table --section presets  # one section; the others stay
python -m tools.accuracy_table --images 200       # a quick look, printed and not written
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from simulator.inference import (
    Images,
    InferenceResult,
    Model,
    get_policy,
    infer,
    load_images,
    load_model,
)
from simulator.inference.policies.mixed import smallest_widths
from simulator.measured import Tensors
from simulator.numerics import preset_names
from simulator.result import Result, priced
from simulator.simulation import simulate

PAGE = Path(__file__).resolve().parent.parent / "docs" / "results.md"
HEADING = "## Accuracy on trained networks"
NETWORKS = ("lenet5_fashion", "resnet8_fashion", "vit_fashion")
DATA = "fashion_mnist_1000"
WIDTHS = range(4, 9)
WIDTH_IMAGES = 500
# Of the splits of each width into exponent and fraction those with two and three exponent bits compete.
EXPONENT_BITS = (2, 3)


@dataclass(frozen=True, slots=True)
class Bench:
    """The networks and the images that all sections measure on."""

    models: tuple[Model, ...]
    data: Images

    def run(self, model: Model, mac: str, policy: str | None = None) -> InferenceResult:
        """One measurement, made once."""
        return _run(self, model.name, mac, policy)

    def top1(self, model: Model, mac: str, policy: str | None = None) -> float:
        """Top-1, printed as it is measured."""
        top1 = self.run(model, mac, policy).accuracy.top1
        assert top1 is not None
        print(f"{model.name:16} {mac:14} {policy or 'default':24} {100 * top1:.1f}", flush=True)
        return top1

    def float32(self, model: Model) -> float:
        """Top-1 of the float32 reference."""
        top1 = self.run(model, "fp32").accuracy.top1_float32
        assert top1 is not None
        return top1


_BENCHES: list[Bench] = []


@cache
def _measured(network: str, mac: str, policy: str | None) -> InferenceResult:
    bench = _BENCHES[-1]
    model = next(model for model in bench.models if model.name == network)
    return infer(model, bench.data, mac, policy)


def _run(bench: Bench, network: str, mac: str, policy: str | None) -> InferenceResult:
    if not _BENCHES or _BENCHES[-1] is not bench:
        _BENCHES.append(bench)
        _measured.cache_clear()
    return _measured(network, mac, policy)


def presets_section(bench: Bench) -> str:
    """Accuracy of every MAC preset on every network, with cycles and energy from the same run."""
    lines = []
    for model in bench.models:
        runs = {mac: _simulated(bench, model, mac) for mac in preset_names()}
        reference = runs["fp32"].accuracy
        assert reference is not None
        lines += [f"#### {model.name}: float32 {_percent(reference.top1_float32)}", ""]
        lines += ["| MAC | policy | top-1 | top-5 | agreement with float32 | cycles | energy, uJ |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for mac, result in runs.items():
            accuracy = result.accuracy
            assert accuracy is not None
            lines.append(
                f"| {mac} | {accuracy.policy} | {_percent(accuracy.top1)} | {_percent(accuracy.top5)} "
                f"| {_percent(accuracy.agreement_with_float32)} | {result.totals.cycles:,} "
                f"| {priced(result.totals.energy_pj) / 1e6:.2f} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def _simulated(bench: Bench, model: Model, mac: str) -> Result:
    """`systolic simulate MODEL --data ... --mac MAC` on the bundled 32 x 32 array."""
    tensors = Tensors(DATA, images=len(bench.data.images))
    result = simulate(str(model.path), "int8_32x32", mac=mac, tensors=tensors)
    print(
        f"{model.name:16} {mac:14} {'with energy':24} {priced(result.totals.energy_pj) / 1e6:.2f} uJ",
        flush=True,
    )
    return result


def log_float_section(bench: Bench) -> str:
    """Claim: log float within one point of float32 without calibration."""
    shown: list[bool] = []
    lines = [
        "| network | float32 | elma8, drop_in | lost, points | within 1 point |",
        "|---|---|---|---|---|",
    ]
    for model in bench.models:
        reference, measured = bench.float32(model), bench.top1(model, "elma8")
        lost = 100 * (reference - measured)
        lines.append(
            f"| {model.name} | {_percent(reference)} | {_percent(measured)} | {lost:.1f} | {_yes(lost <= 1.0)} |"
        )
        shown.append(lost <= 1.0)
    return "\n".join([*lines, "", _verdict(shown)])


def posit_section(bench: Bench) -> str:
    """Claim: posit(8,0) collapses where posit(8,1) does not."""
    shown: list[bool] = []
    lines = [
        "| network | float32 | posit8 (8,1), drop_in | posit8.0 x posit8.0, drop_in | (8,0) collapses |",
        "|---|---|---|---|---|",
    ]
    for model in bench.models:
        one = bench.top1(model, "posit8")
        zero = bench.top1(model, "posit8.0 x posit8.0", "drop_in")
        lines.append(
            f"| {model.name} | {_percent(bench.float32(model))} | {_percent(one)} | {_percent(zero)} "
            f"| {_yes(one - zero > 0.1)} |"
        )
        shown.append(one - zero > 0.1)
    return "\n".join([*lines, "", _verdict(shown)])


def mixed_section(bench: Bench) -> str:
    """Claim: float weights with fixed-point activations need less storage than fixed-point weights."""
    shown: list[bool] = []
    lines = [
        "| network | float weights | fixed-point weights | activations | storage saved by float weights |",
        "|---|---|---|---|---|",
    ]
    for model in bench.models:
        policy = get_policy("mixed+loss=1")
        floats = smallest_widths(model, bench.data, policy, weights="float")
        fixed = smallest_widths(model, bench.data, policy, weights="fixed")
        saved = 1 - floats.weight_bits / fixed.weight_bits
        print(model.name, floats.weight, floats.tried, fixed.weight, fixed.tried, flush=True)
        lines.append(
            f"| {model.name} | {floats.weight} ({floats.weight_bits} bits) "
            f"| {fixed.weight.replace('int', 'fix')} ({fixed.weight_bits} bits) "
            f"| {floats.activation.replace('int', 'fix')}, {fixed.activation.replace('int', 'fix')} "
            f"| {100 * saved:.0f} % |"
        )
        shown.append(saved > 0)
    return "\n".join([*lines, "", _verdict(shown)])


def widths_section(bench: Bench) -> str:
    """Claim: minifloats at or above integers from 4 to 8 bits, more so on the transformer."""
    lines = [
        "| network | bits | integer | best minifloat | which | difference, points |",
        "|---|---|---|---|---|---|",
    ]
    bench = Bench(bench.models, bench.data.first(min(WIDTH_IMAGES, len(bench.data.images))))
    verdicts = []
    for model in bench.models:
        gained: list[float] = []
        for bits in WIDTHS:
            integer = bench.top1(model, f"int{bits} x int{bits}", "mse")
            specs = [f"e{e}m{bits - 1 - e}" for e in EXPONENT_BITS if bits - 1 - e >= 0]
            scores = {spec: bench.top1(model, f"{spec} x {spec}", "mse") for spec in specs}
            best = max(scores, key=lambda spec: scores[spec])
            lines.append(
                f"| {model.name} | {bits} | {_percent(integer)} | {_percent(scores[best])} | {best} "
                f"| {100 * (scores[best] - integer):+.1f} |"
            )
            gained.append(100 * (scores[best] - integer))
        reached = sum(points > -1e-9 for points in gained)
        verdicts.append(
            f"{model.name}: at or above the integer at {reached} of {len(gained)} widths, "
            f"{sum(gained) / len(gained):+.1f} points on average."
        )
    return "\n".join([*lines, "", " ".join(verdicts)])


SECTIONS: dict[str, tuple[str, str, Callable[[Bench], str]]] = {
    "presets": (
        "Every MAC on every bundled network",
        "Policies are each MAC's default ([inference](inference.md)). Cycles and energy of one inference come from the same "
        "run, `systolic simulate NETWORK --data fashion_mnist_1000 --mac MAC` on `int8_32x32`: dynamic energy follows the "
        "bits that toggled in the PE registers over the first 8 images.",
        presets_section,
    ),
    "log_float": (
        "Log float without calibration (Johnson 2018)",
        "Claim: dropping (8,1,5,5,7) log float in, round to nearest even, no calibration, costs less than a point.",
        log_float_section,
    ),
    "posit": (
        "posit(8,0) and posit(8,1) (Johnson 2018)",
        "Claim: without calibration (8,0) collapses where (8,1) does not. Collapse here: more than 10 points below (8,1).",
        posit_section,
    ),
    "mixed": (
        "Float weights, fixed-point activations (Lai et al. 2017)",
        "Claim: at equal accuracy floating-point weights need less storage than fixed-point ones. The smallest widths that "
        "lose at most 1 point on the calibration images, per-tensor power-of-two scales.",
        mixed_section,
    ),
    "widths": (
        "Minifloats and integers of 4 to 8 bits (Aggarwal et al. 2024)",
        "Claim: minifloats are at or above integers, more so on transformers. Policy `mse`: activations scaled per tensor, "
        "weights per channel, nearest rounding. The minifloat is the best of its width, chosen on the same images, which "
        f"favours it by the luck of the draw. The first {WIDTH_IMAGES} images: one is 0.2 points.",
        widths_section,
    ),
}


INTRODUCTION = f"""\
Measured by `python -m tools.accuracy_table` on the 1,000 test images of `{DATA}`; calibration on its training images
only. Standard error of a top-1 figure: about 1 point, but the same images go through every format, so differences are
sharper than that. A test measures some of the rows anew."""


def section_text(key: str, bench: Bench) -> str:
    """One section with its heading and what it claims."""
    title, text, section = SECTIONS[key]
    return f"### {title}\n\n{text}\n\n{section(bench)}\n"


def replaced(page: str, key: str, text: str) -> str:
    """The page with one section exchanged, or put at its end where it is missing."""
    if HEADING not in page:
        page = f"{page.rstrip()}\n\n{HEADING}\n\n{INTRODUCTION}\n"
    title = f"### {SECTIONS[key][0]}\n"
    if title not in page:
        return f"{page.rstrip()}\n\n{text}"
    before, after = page.split(title)
    _, mark, rest = after.partition("\n### ")
    return before + text + (mark + rest if mark else "")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _verdict(shown: list[bool]) -> str:
    """Whether the networks show what the paper claims, in a sentence."""
    if not any(shown):
        return "None of these networks shows the effect."
    return f"Shown by {sum(shown)} of {len(shown)} networks."


def _yes(condition: bool) -> str:  # noqa: FBT001 - a verdict in words
    return "yes" if condition else "no"


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
