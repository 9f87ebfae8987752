"""What the columns of a SCALE-Sim topology are: its own order, and the titles that people write over them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from simulator.foundation import UserError

NAME: Final = "layer name"
STRIDE: Final = "stride"
STRIDE_WIDTH: Final = "stride width"
SPARSITY: Final = "sparsity"
BATCH: Final = "batch size"
UNUSED: Final = "unused"

CONVOLUTION: Final = (
    "ifmap height", "ifmap width", "filter height", "filter width", "channels", "filters", "stride height",
)  # fmt: skip
MATRIX: Final = ("M", "N", "K")
FORMS: Final = (
    "name, ifmap height, ifmap width, filter height, filter width, channels, filters, stride "
    "[, stride width]; or name, M, N, K; separated by commas"
)

# Words that say the same, and words that say nothing here.
_WORDS: Final[Mapping[str, str]] = {
    word: meaning
    for meaning, words in {
        "layer": "layer layers op operation operator",
        "name": "name names label",
        "index": "index idx id",
        "ifmap": "ifmap ifmaps ifm input inputs in image img",
        "ofmap": "ofmap ofmaps ofm output outputs out",
        "filter": "filter filters filt kernel kernels weight weights",
        "channels": "channel channels chan ch",
        "height": "height heights ht hgt h rows",
        "width": "width widths wd w columns cols",
        "stride": "stride strides",
        "batch": "batch batches batchsize",
        "size": "size sizes",
        "sparsity": "sparsity sparse",
        "ratio": "ratio",
        "offset": "offset offsets",
        "m": "m",
        "n": "n",
        "k": "k",
        "": "num number no nr count of the px pixel pixels",
    }.items()
    for word in words.split()
}

_TITLES: Final[Mapping[frozenset[str], str]] = {
    frozenset(words.split()): column
    for column, titles in {
        NAME: ("layer", "name", "layer name"),
        "ifmap height": ("ifmap height",),
        "ifmap width": ("ifmap width",),
        "filter height": ("filter height",),
        "filter width": ("filter width",),
        "channels": ("channels", "ifmap channels"),
        "filters": ("filter", "ofmap channels"),
        STRIDE: ("stride",),
        "stride height": ("stride height",),
        STRIDE_WIDTH: ("stride width",),
        BATCH: ("batch", "batch size"),
        SPARSITY: ("sparsity", "sparsity ratio", "sparsity n m", "sparsity ratio n m", "n m"),
        "M": ("m",),
        "N": ("n",),
        "K": ("k",),
        UNUSED: ("ifmap offset", "filter offset", "ofmap offset", "index", "layer index"),
    }.items()
    for words in titles
}

_LETTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "h": ("ifmap height",), "w": ("ifmap width",), "ih": ("ifmap height",), "iw": ("ifmap width",),
    "fh": ("filter height",), "fw": ("filter width",), "kh": ("filter height",), "kw": ("filter width",),
    "r": ("filter height",), "s": ("filter width", "stride height"), "st": ("stride height",),
    "c": ("channels",), "ic": ("channels",), "cin": ("channels",), "oc": ("filters",), "cout": ("filters",),
    "n": ("filters", BATCH), "k": ("filters", "filter height"), "m": ("filters",), "f": ("filters",),
    "sh": ("stride height",), "sw": (STRIDE_WIDTH,), "b": (BATCH,),
}  # fmt: skip
"""What letters over a table of convolutions can mean; the column's place decides between several."""

_CONVOLUTION_PLACES: Final = dict(enumerate((NAME, *CONVOLUTION, STRIDE_WIDTH), 1))
_MATRIX_PLACES: Final = dict(enumerate((NAME, *MATRIX), 1))

_KNOWN_TITLES: Final = (
    "Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter",
    "Strides", "Stride Height", "Stride Width", "Batch Size", "Sparsity",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file: what it means ("" if it has no known title), its title, its place from 1."""

    meaning: str
    title: str
    place: int

    def __str__(self) -> str:
        """The column as messages name it."""
        meaning = self.meaning if self.meaning not in ("", UNUSED) else repr(self.title)
        return f"{meaning} (column {self.place})"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a file in its own order, and what a reader must know about them."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    @property
    def meanings(self) -> list[str]:
        """What the columns mean, in the file's order."""
        return [column.meaning for column in self.columns]

    @property
    def is_matrix(self) -> bool:
        """Whether the file holds matrix products rather than convolutions."""
        return MATRIX[0] in self.meanings

    @property
    def needed(self) -> list[Column]:
        """The columns that every layer must fill."""
        return [column for column in self.columns if column.meaning in (NAME, *self.required)]

    @property
    def unused(self) -> list[Column]:
        """Columns that have a title, or stand in front of the names, and tell nothing."""
        return [
            column
            for column in self.columns
            if column.meaning == UNUSED or (column.title and not column.meaning)
        ]

    @property
    def is_standard(self) -> bool:
        """Whether name and required columns stand where SCALE-Sim itself expects them."""
        return self.meanings[: len(self.required) + 1] == [NAME, *self.required]

    @property
    def required(self) -> tuple[str, ...]:
        """What every layer must give."""
        return MATRIX if self.is_matrix else CONVOLUTION


def column_of(title: str) -> str:
    """What a title means, in whatever spelling; "" for a title that is not known."""
    words = {word for part in _parts(title) for word in _split(part)}
    return _TITLES.get(frozenset(_WORDS.get(word, word) for word in words) - {""}, "")


def _parts(title: str) -> list[str]:
    """`IFMAPHeight_px` as ifmap, height, px."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+", title)]


def _split(word: str) -> tuple[str, ...]:
    """Two known words that are written as one, such as `ifmapheight`."""
    if word in _WORDS:
        return (word,)
    cuts = ((word[:end], word[end:]) for end in range(3, len(word)))
    return next((cut for cut in cuts if cut[0] in _WORDS and cut[1] in _WORDS), (word,))


def columns_without_header(numbers: int) -> Columns:
    """SCALE-Sim's own columns for a file whose first layer gives this many numbers."""
    meanings = MATRIX if numbers == len(MATRIX) else CONVOLUTION
    return Columns(tuple(Column(meaning, "", place) for place, meaning in enumerate((NAME, *meanings), 1)))


def columns_of_header(titles: Sequence[str], *, source: object, line: int) -> Columns:
    """The columns that a header names, whatever their order.

    Raises:
        UserError: a needed column is not there, is there twice, or belongs to the other kind of table.
    """
    columns = [Column(column_of(title), title, place) for place, title in enumerate(titles, 1)]
    products = _are_products(columns)
    if not products:
        columns = [_spelled_out(column) for column in columns]
    if columns[0].meaning in ("", UNUSED):
        # Untitled in front of the names is the index that data frames write.
        named = NAME in (column.meaning for column in columns)
        index = UNUSED if not columns[0].title else columns[0].meaning
        columns[0] = replace(columns[0], meaning=index if named else NAME)
    _settle_strides(columns)
    notes = _settle_doubled(columns, _MATRIX_PLACES if products else _CONVOLUTION_PLACES)
    _check(columns, source=source, line=line)
    read = Columns(tuple(columns))
    return replace(read, notes=(*notes, *_order_note(read)))


def _are_products(columns: Sequence[Column]) -> bool:
    """Whether M, N and K are sizes of matrix products here, and no letters of a convolution."""
    letters = {column.meaning for column in columns if column.meaning in MATRIX}
    convolution = any(
        column.meaning in (*CONVOLUTION, STRIDE) or column.title.lower() in ("h", "w", "c")
        for column in columns
    )
    return letters == set(MATRIX) or (len(letters) == 2 and not convolution)


def _spelled_out(column: Column) -> Column:
    """A column whose title is letters, with what they mean at this place."""
    meanings = _LETTERS.get(column.title.lower(), ())
    by_place = _CONVOLUTION_PLACES.get(column.place, "")
    if by_place in meanings:
        return replace(column, meaning=by_place)
    return replace(column, meaning=meanings[0] if len(meanings) == 1 else "") if meanings else column


def _settle_strides(columns: list[Column]) -> None:
    """A stride without an axis is that of the height, and the width's too unless another one follows."""
    for index, column in enumerate(columns):
        if column.meaning == STRIDE:
            taken = "stride height" in (other.meaning for other in columns)
            columns[index] = replace(column, meaning=STRIDE_WIDTH if taken else "stride height")


def _settle_doubled(columns: list[Column], places: Mapping[int, str]) -> list[str]:
    """Give columns with one and the same title the meanings that SCALE-Sim's own order gives them."""
    notes = []
    for index, column in enumerate(columns):
        meanings = [other.meaning for other in columns]
        by_place = places.get(column.place, "")
        doubled = column.meaning not in ("", UNUSED) and meanings.count(column.meaning) > 1
        if doubled and by_place and by_place not in meanings:
            columns[index] = replace(column, meaning=by_place)
            notes.append(
                f"the header names {column.title!r} twice; column {column.place} is read as {by_place}, "
                "by its place"
            )
    return notes


def _check(columns: Sequence[Column], *, source: object, line: int) -> None:
    meanings = [column.meaning for column in columns]
    for column in columns:
        if column.meaning not in ("", UNUSED) and meanings.index(column.meaning) != column.place - 1:
            raise UserError(
                "stands in the header twice",
                source=source,
                location=f"line {line}, {column}",
                value=column.title,
                allowed="one column each",
            )
    matrix = [column for column in columns if column.meaning in MATRIX]
    convolution = [column for column in columns if column.meaning in (*CONVOLUTION, STRIDE_WIDTH)]
    if matrix and convolution:
        raise UserError(
            "belongs to a table of matrix products, but the header also names "
            f"{convolution[0].title!r}, which belongs to a table of convolutions",
            source=source,
            location=f"line {line}, {matrix[0]}",
            value=matrix[0].title,
            allowed=FORMS,
        )
    required = (NAME, *(MATRIX if matrix else CONVOLUTION))
    missing = [meaning for meaning in required if meaning not in meanings]
    if missing:
        unknown = [column for column in columns if column.title and not column.meaning]
        if unknown:
            raise unknown_column(unknown[0], source=source, line=line)
        raise UserError(
            f"the header has no column for {missing[0]}",
            source=source,
            location=f"line {line}",
            value=", ".join(column.title for column in columns),
            allowed=FORMS,
        )


def unknown_column(column: Column, *, source: object, line: int) -> UserError:
    """The refusal of a column whose title says nothing that this reader knows."""
    ambiguous = column.title.lower() in _LETTERS
    return UserError(
        "can mean several things here; write it out" if ambiguous else "column is not known",
        source=source,
        location=f"line {line}, column {column.place}",
        value=column.title,
        candidates=() if ambiguous else (*_KNOWN_TITLES, *MATRIX),
    )


def _order_note(columns: Columns) -> list[str]:
    """SCALE-Sim reads columns by place, so another order is another network there."""
    if columns.is_standard:
        return []
    titles = ", ".join(column.title for column in columns.columns)
    return [
        f"columns are read in the order that the header gives ({titles}); SCALE-Sim itself reads them by "
        "place, whatever the header says"
    ]
