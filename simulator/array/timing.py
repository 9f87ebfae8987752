"""What decides the cycles of an array: its size, dataflow, fold overlap and the pipeline of its MACs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self, get_args

from simulator.arch.config import ArrayConfig, Overlap, Timing
from simulator.array.fold_kernels import OVERLAPS, TimingCode
from simulator.dataflow import DATAFLOWS, SCALESIM_DATAFLOWS, Dataflow, DataflowName
from simulator.foundation import UserError

PartialFolds = Literal["full", "trimmed"]


class MacPipeline(Protocol):
    """The part of a MAC's description (`simulator.numerics` `MacSpec`) that costs cycles."""

    @property
    def pipeline_depth(self) -> int:
        """Cycles from a pair of operands to the sum that contains their product."""

    @property
    def accumulation_interval(self) -> int:
        """Cycles before the same PE can add to its new sum."""


@dataclass(frozen=True, slots=True)
class ArrayTiming:
    """Everything that decides how many cycles a matrix product takes on an array (docs/timing.md).

    Attributes:
        rows: PE rows (R).
        columns: PE columns (C).
        dataflow: what lies along rows and columns and what stays in the PEs (`simulator.dataflow`).
        overlap: `none`, `drain` or `full`, how a fold follows the one before.
        partial_folds: `full` (unused PEs cost the cycles of used ones) or `trimmed`.
        timing: `reference`, or `scalesim` for SCALE-Sim's compute cycles, which know no other option.
        pipeline_depth: cycles (d) from operands to their sum.
        accumulation_interval: the last of these cycles (i), which the sum itself is in the adder.

    Raises:
        UserError: an unknown name, a size below one, an interval longer than the pipeline, or options that
            `scalesim` timing does not know.
    """

    rows: int = 32
    columns: int = 32
    dataflow: DataflowName = "os"
    overlap: Overlap = "none"
    partial_folds: PartialFolds = "full"
    timing: Timing = "reference"
    pipeline_depth: int = 1
    accumulation_interval: int = 1

    def __post_init__(self) -> None:
        """Refuse arrays that cannot be."""
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        for name in ("rows", "columns", "pipeline_depth", "accumulation_interval"):
            if getattr(self, name) < 1:
                raise UserError("must be positive", location=name, value=getattr(self, name))
        if self.accumulation_interval > self.pipeline_depth:
            raise UserError(
                f"must not exceed pipeline_depth = {self.pipeline_depth}",
                location="accumulation_interval",
                value=self.accumulation_interval,
            )
        if self.timing == "scalesim":
            self._check_scalesim()

    def _check_scalesim(self) -> None:
        known = {"overlap": "none", "partial_folds": "full", "pipeline_depth": 1, "accumulation_interval": 1}
        for name, only in known.items():
            if getattr(self, name) != only:
                raise UserError(
                    "is not known to `timing: scalesim`",
                    location=name,
                    value=getattr(self, name),
                    allowed=f"{only!r}, or `timing: reference`",
                )
        if not self.flow.scalesim:
            raise UserError(
                "is not known to `timing: scalesim`",
                location="dataflow",
                value=self.dataflow,
                allowed=", ".join(SCALESIM_DATAFLOWS),
            )
        if self.rows == self.columns == 1:
            raise UserError(
                "`timing: scalesim` reports one cycle less than a single PE needs",
                location="rows",
                value=1,
                allowed="more than one PE",
            )

    @classmethod
    def of(
        cls, array: ArrayConfig, macs: Iterable[MacPipeline], dataflow: DataflowName | None = None
    ) -> Self:
        """The timing of a configured array whose PEs hold `macs`; all run in step, so the slowest one counts.

        dataflow: in place of the array's own.

        SCALE-Sim knows no MAC, so its timing ignores their pipelines.
        """
        pipelines = [] if array.timing == "scalesim" else list(macs)
        return cls(
            rows=array.rows,
            columns=array.columns,
            dataflow=array.dataflow if dataflow is None else dataflow,
            overlap=array.overlap,
            partial_folds=array.partial_folds,
            timing=array.timing,
            pipeline_depth=max((mac.pipeline_depth for mac in pipelines), default=1),
            accumulation_interval=max((mac.accumulation_interval for mac in pipelines), default=1),
        )

    @property
    def flow(self) -> Dataflow:
        """The dataflow itself."""
        return DATAFLOWS[self.dataflow]

    @property
    def upright(self) -> ArrayTiming:
        """The array turned so that its lanes are columns, which takes the same cycles."""
        rows, columns = self.flow.turn(self.rows, self.columns)
        name = self.flow.upright.name
        return self if name == self.dataflow else replace(self, rows=rows, columns=columns, dataflow=name)

    @property
    def code(self) -> TimingCode:
        """The upright array as whole numbers, for compiled formulas."""
        rows, columns = self.flow.turn(self.rows, self.columns)
        return TimingCode(
            outputs_stay=self.flow.circuit.sums_stay,
            overlap=OVERLAPS[self.overlap],
            trimmed=int(self.partial_folds == "trimmed"),
            rows=rows,
            columns=columns,
            shift_out=rows if self.timing == "reference" else 0,
            depth=self.pipeline_depth,
            interval=self.accumulation_interval,
        )

    @property
    def has_second_register(self) -> bool:
        """Whether every PE holds the register that moves between folds twice."""
        return self.flow.circuit.is_doubled(self.overlap)

    @property
    def pe_count(self) -> int:
        """Processing elements."""
        return self.rows * self.columns


_CHOICES: dict[str, tuple[str, ...]] = {
    "dataflow": tuple(DATAFLOWS),
    "overlap": get_args(Overlap),
    "partial_folds": get_args(PartialFolds),
    "timing": get_args(Timing),
}


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of the choices. Raises UserError."""
    if value not in choices:
        raise UserError(
            "is unknown", location=name, value=value, allowed=", ".join(choices), candidates=choices
        )
