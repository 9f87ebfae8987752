"""Everything that is checked of a MAC's hardware, in one report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.dataflow import DATAFLOWS
from simulator.hardware.array_circuit import ArrayShape
from simulator.hardware.comparisons import Comparison
from simulator.hardware.equivalence import Equivalence, prove_equivalence
from simulator.hardware.sequential_checks import check_runs
from simulator.hardware.step_checks import check_converter, check_decoders, check_steps
from simulator.hardware.step_stimuli import RANDOM_STEPS
from simulator.hardware.synthesized_macs import SynthesizedMac
from simulator.numerics import Mac

PROVED_FOR_S: Final = 60

_ROWS, _COLUMNS = 3, 2
_RUNS = 8
_LENGTH = 5
_RANDOM_EDGES = 40


@dataclass(frozen=True, slots=True)
class VerificationSettings:
    """How much is tried: dataflows, steps of long codes, the seed, seconds for each proof (0: no proof)."""

    dataflows: Sequence[str] = tuple(DATAFLOWS)
    steps: int = RANDOM_STEPS
    seed: int = 0
    limit_s: int = PROVED_FOR_S


@dataclass(frozen=True, slots=True)
class Verification:
    """What was compared and proven of one MAC."""

    mac: Mac
    gates: int
    comparisons: tuple[Comparison, ...]
    equivalences: tuple[Equivalence, ...]

    @property
    def passed(self) -> bool:
        """Whether no comparison differs and no proof says that RTL and gates differ; undecided ones pass."""
        compared = all(comparison.is_equal for comparison in self.comparisons)
        return compared and all(proof.verdict != "not equivalent" for proof in self.equivalences)


def verify_mac(
    mac: Mac, settings: VerificationSettings, *, tell: Callable[[str], None] = lambda _: None
) -> Verification:
    """Build a MAC's hardware, map it onto gates, and hold the gates against numerics and grid.

    `tell` is given a sentence about what comes next.

    Raises:
        UserError: the MAC has no hardware, or the extra is not installed.
    """
    comparisons: list[Comparison] = []
    first: SynthesizedMac | None = None
    for dataflow in settings.dataflows:
        tell(f"mapping a {dataflow} array onto gates")
        synthesized = SynthesizedMac.of(mac, ArrayShape.of(_ROWS, _COLUMNS, dataflow))
        if first is None:
            first = synthesized
            tell("comparing steps")
            comparisons.append(check_steps(first, settings.seed, settings.steps))
            comparisons += check_decoders(first)
            converter = check_converter(first, settings.seed)
            comparisons += [] if converter is None else [converter]
        tell(f"comparing runs of the {dataflow} array")
        comparisons.append(
            check_runs(synthesized, settings.seed, runs=_RUNS, length=_LENGTH, random_edges=_RANDOM_EDGES)
        )
    return _with_proofs(mac, first, comparisons, settings, tell)


def _with_proofs(
    mac: Mac,
    synthesized: SynthesizedMac | None,
    comparisons: list[Comparison],
    settings: VerificationSettings,
    tell: Callable[[str], None],
) -> Verification:
    if synthesized is None:
        return Verification(mac, 0, (), ())
    proofs = []
    for role in COMBINATIONAL if settings.limit_s else ():
        if role in synthesized.designs:
            tell(f"proving the {role}")
            proofs.append(prove_equivalence(synthesized, role, limit_s=settings.limit_s))
    gates = len(synthesized.netlists[synthesized.designs["mac"].name].gates)
    return Verification(mac, gates, tuple(comparisons), tuple(proofs))


COMBINATIONAL: Final = ("activation_decoder", "weight_decoder", "mac", "converter")
"""Modules without registers, which are proven by themselves."""
