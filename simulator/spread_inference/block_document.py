"""What a block of images gave, as a document that a worker sends back and a store keeps."""

from __future__ import annotations

from typing import Literal

import numpy as np

from simulator.inference.blocks import BlockRun
from simulator.inference.chunk_figures import ChunkFigures
from simulator.inference.judge import Judge, OutputTally
from simulator.inference.metrics import Deviation
from simulator.inference.overflow_counts import SumsOutside
from simulator.inference.perplexity import Perplexity
from simulator.numerics.array_types import Tensor
from simulator.spread_inference.array_document import ArraySection, Real, Section, read_document

Keeps = Literal["figures", "judged", "outputs"]
"""What a block keeps of outputs: none, the judged one through the MACs and in float32, or all of the MACs."""

DeviationSection = tuple[Real, Real, Real, Real, Real, int, int, int]
"""The fields of a `Deviation` in their order."""


class JudgeSection(Section):
    """A `Judge`; its outcomes are one array for each chunk."""

    images: int
    among_top: int
    among_top_float32: int
    classes: int | None
    agreeing: int
    places: int
    axis: int | None
    right: tuple[ArraySection, ...]
    right_float32: tuple[ArraySection, ...]


class OutputSection(Section):
    """How far one output is from float32, and its shape over the images of the block."""

    shape: tuple[int, ...]
    deviation: DeviationSection | None


class LayerFigures(Section):
    """How far a layer is from float32, its sums that left their accumulator and all, and its engine."""

    deviation: DeviationSection
    outside: tuple[int, int]
    engine: str


class BlockDocument(Section):
    """A `BlockRun`; `outputs` are the parts of each, `judged` those through the MACs and in float32."""

    kind: Literal["block"] = "block"
    images: int
    judge: JudgeSection
    outputs_from_float32: dict[str, OutputSection]
    perplexity: tuple[int, Real, Real]
    layers: dict[str, LayerFigures]
    notes: dict[str, str]
    data_notes: dict[str, str]
    digests: str
    outputs: dict[str, tuple[ArraySection, ...]]
    judged: tuple[tuple[ArraySection, ...], tuple[ArraySection, ...]]


def block_text(run: BlockRun, keeps: Keeps) -> str:
    """A block as JSON on one line, with the outputs that are asked for."""
    figures = run.figures
    judge, perplexity = figures.judge, figures.perplexity
    judged = run.judged if keeps == "judged" else ([], [])
    return BlockDocument(
        images=figures.images,
        judge=JudgeSection(
            images=judge.images,
            among_top=judge.among_top,
            among_top_float32=judge.among_top_float32,
            classes=judge.classes,
            agreeing=judge.agreeing,
            places=judge.places,
            axis=judge.axis,
            right=_sections(judge.right),
            right_float32=_sections(judge.right_float32),
        ),
        outputs_from_float32={
            name: OutputSection(shape=shape, deviation=_deviation(figures.outputs.deviations.get(name)))
            for name, shape in figures.outputs.shapes.items()
        },
        perplexity=(perplexity.tokens, perplexity.nats, perplexity.nats_float32),
        layers={
            name: LayerFigures(
                deviation=_fields(each),
                outside=(figures.sums[name].outside, figures.sums[name].sums),
                engine=figures.engines[name],
            )
            for name, each in figures.deviations.items()
        },
        notes=figures.notes,
        data_notes=dict(run.data_notes),
        digests=run.digests.hex(),
        outputs={name: _sections(each) for name, each in run.outputs.items()} if keeps == "outputs" else {},
        judged=(_sections(judged[0]), _sections(judged[1])),
    ).model_dump_json()


def read_block(text: str, *, source: object) -> BlockRun:
    """The block of a text that `block_text` made. Raises UserError where it is none."""
    read = read_document(BlockDocument, text, source=source, what="a block of images")
    judge = Judge(
        read.judge.images,
        read.judge.among_top,
        read.judge.among_top_float32,
        read.judge.classes,
        read.judge.agreeing,
        read.judge.places,
        read.judge.axis,
        _arrays(read.judge.right),
        _arrays(read.judge.right_float32),
    )
    outputs = OutputTally(
        {
            name: Deviation(*each.deviation)
            for name, each in read.outputs_from_float32.items()
            if each.deviation is not None
        },
        {name: each.shape for name, each in read.outputs_from_float32.items()},
    )
    figures = ChunkFigures(
        read.images,
        judge,
        outputs,
        Perplexity(*read.perplexity),
        {name: Deviation(*each.deviation) for name, each in read.layers.items()},
        {name: SumsOutside(*each.outside) for name, each in read.layers.items()},
        {name: each.engine for name, each in read.layers.items()},
        dict(read.notes),
    )
    return BlockRun(
        figures,
        bytes.fromhex(read.digests),
        {name: _arrays(parts) for name, parts in read.outputs.items()},
        (_arrays(read.judged[0]), _arrays(read.judged[1])),
        read.data_notes,
    )


def _deviation(each: Deviation | None) -> DeviationSection | None:
    return None if each is None else _fields(each)


def _fields(each: Deviation) -> DeviationSection:
    return (
        each.reference_power,
        each.value_power,
        each.product,
        each.noise_power,
        each.largest_error,
        each.saturated,
        each.underflowed,
        each.elements,
    )


def _sections(arrays: list[Tensor]) -> tuple[ArraySection, ...]:
    return tuple(ArraySection.of(np.asarray(each)) for each in arrays)


def _arrays(sections: tuple[ArraySection, ...]) -> list[Tensor]:
    return [each.array() for each in sections]
