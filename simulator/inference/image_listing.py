"""Which image files there are, in which order, and which class each has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

from simulator.foundation import UserError
from simulator.foundation.reading.content import everything_below, is_file, read_text, require_plain
from simulator.foundation.reading.csv_rows import split_cells

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}
)
LABELS_FILES: Final = ("labels.csv", "labels.txt", "val.txt")
"""Files inside a folder that are taken as its labels."""

LABEL_RULES: Final = ("none", "names", "folders")
"""What labels may be asked for by, besides a table's path."""

_NUMBERED = re.compile(r"(\d{1,9})(?:[_-].*)?")
_NUMBER = re.compile(r"\d{1,9}")
_SIGNED = re.compile(r"[+-]?\d{1,9}")
_FILE_COLUMNS = ("file", "filename", "file_name", "path", "image", "image_id", "imageid", "name", "id")
_LABEL_COLUMNS = ("label", "class", "class_id", "class_index", "classid", "index", "target", "y")


@dataclass(frozen=True, slots=True)
class Listing:
    """Files in order with their classes; `labels_from` says in words where the classes come from."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...] | None
    labels_from: str
    notes: tuple[str, ...] = ()


def list_images(source: Path, labels: str | None, *, classes: int | None) -> Listing:
    """The images of a folder, or those that a table names.

    Args:
        source: a folder of images or of class folders, or a .csv or .txt file of files and classes.
        labels: `none`, `names`, `folders`, a table's path, or None: `labels.csv` (`.txt`, `val.txt`) in the
            folder, else class folders, else file names that are numbers or begin with one (`12_3.jpg`).
        classes: of the network, where it is known.

    Raises:
        UserError: no images, images both beside and inside class folders, labels that are asked for and not
            there, or a table that cannot be used.
    """
    if is_file(source):
        listing = _of_table(source, source.parent, None)
        if labels is None:
            return listing
        if labels == "none":
            return Listing(listing.paths, None, "")
        raise UserError(
            "is for folders; a table of files has their classes", location="--labels", value=labels
        )
    files, others = _files(source)
    notes = (f"left out {others} files of {source.name} that are no images",) if others else ()
    if not files:
        raise UserError(
            "has no images", source=source, allowed=f"files ending in {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    if labels is None:
        table = next((source / name for name in LABELS_FILES if is_file(source / name)), None)
        if table is not None:
            return _with(notes, _of_table(table, source, files))
    elif labels not in LABEL_RULES:
        return _with(notes, _of_table(Path(labels), source, files))
    inside = [path for path in files if path.parent != source]
    if inside and len(inside) < len(files) and labels != "none":
        beside = next(path for path in files if path.parent == source)
        raise UserError(
            "has images beside its class folders",
            source=source,
            value=beside.name,
            allowed="either of both, or --labels with a table or 'none'",
        )
    if labels == "none":
        return Listing(tuple(files), None, "", notes)
    if labels == "names" or (labels is None and not inside):
        return _with(notes, _by_names(source, files, classes, asked=labels is not None))
    if not inside:
        raise UserError("has no class folders", source=source, location="--labels", value=labels)
    return _with(notes, _by_folders(source, files, classes))


def _with(notes: tuple[str, ...], listing: Listing) -> Listing:
    return Listing(listing.paths, listing.labels, listing.labels_from, (*notes, *listing.notes))


def _files(folder: Path) -> tuple[list[Path], int]:
    """Image files at any depth in the order of their names, and how many others; not hidden ones."""
    images, others = [], 0
    for path in everything_below(folder):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or not is_file(path):
            continue
        if path.suffix.lower() in IMAGE_SUFFIXES:
            images.append(path)
        elif path.name not in LABELS_FILES:
            others += 1
    return images, others


def _by_names(source: Path, files: list[Path], classes: int | None, *, asked: bool) -> Listing:
    """Classes from names that are numbers, or begin with one before `_` or `-`."""
    found = [_NUMBERED.fullmatch(path.stem) for path in files]
    numbers = [int(match.group(1)) for match in found if match]
    why = ""
    if len(numbers) < len(files):
        unnamed = next(path for path, match in zip(files, found, strict=True) if not match)
        why = f"{unnamed.name!r} does not begin with a class number"
    elif classes is not None and max(numbers) >= classes:
        why = f"number {max(numbers)} is beyond the network's {classes} classes"
    if not why:
        return Listing(tuple(files), tuple(numbers), "numbers in file names")
    if asked:
        raise UserError(f"file names hold no labels: {why}", source=source, location="--labels")
    return Listing(tuple(files), None, "", (f"no labels: {why}, and there is no labels.csv",))


def _by_folders(source: Path, files: list[Path], classes: int | None) -> Listing:
    """Classes from the folders: their numbers, else their places in the order of names.

    Images come by turns, one of each class, so that the first ones are of all classes.
    """
    folders: dict[str, list[Path]] = {}
    for path in files:
        folders.setdefault(path.relative_to(source).parts[0], []).append(path)
    names = sorted(folders)
    if all(_NUMBER.fullmatch(name) for name in names):
        numbers, labels_from = {name: int(name) for name in names}, "numbers of class folders"
    else:
        numbers = {name: place for place, name in enumerate(names)}
        labels_from = "class folders in the order of their names"
        if classes is not None and len(names) != classes:
            raise UserError(
                f"has {len(names)} class folders, but the network {classes} classes, so that their order is"
                " not that of the classes",
                source=source,
                location="--labels",
                allowed="folders named by class number, a table of files and classes, or 'none'",
            )
    turns = zip_longest(*([(path, numbers[name]) for path in folders[name]] for name in names))
    ordered = [pair for turn in turns for pair in turn if pair is not None]
    return Listing(tuple(path for path, _ in ordered), tuple(label for _, label in ordered), labels_from)


def _of_table(table: Path, folder: Path, files: list[Path] | None) -> Listing:
    """Classes from a table; without `files` the images are those that it names, relative to `folder`."""
    rows = _rows(table)
    labels_from = f"table {table.name}"
    if files is None:
        paths = tuple(folder / name for name in rows)
        missing = next((path for path in paths if not is_file(path)), None)
        if missing is not None:
            raise UserError("names an image that is not there", source=table, value=str(missing))
        return Listing(paths, tuple(rows.values()), labels_from)
    labels = []
    for path in files:
        keys = (path.relative_to(folder).as_posix(), path.name, path.stem)
        label = next((rows[key] for key in keys if key in rows), None)
        if label is None:
            raise UserError("has no row for an image", source=table, value=path.name, candidates=rows)
        labels.append(label)
    unused = len(rows) - len(files)
    notes = (f"{unused} rows of {table.name} name no image of the folder",) if unused > 0 else ()
    return Listing(tuple(files), tuple(labels), labels_from, notes)


def _rows(table: Path) -> Mapping[str, int]:
    """Class by file name from a table with commas, semicolons, tabs or blanks, with or without a header."""
    text = require_plain(read_text(table).removeprefix("\ufeff"), source=table)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError("is empty", source=table)
    cells = [[cell.strip() for cell in row] for row in _split(lines, table)]
    name_at, label_at, body = _columns(table, cells)
    rows: dict[str, int] = {}
    for line, row in enumerate(body, 1 + len(cells) - len(body)):
        if len(row) <= max(name_at, label_at) or not _SIGNED.fullmatch(row[label_at]):
            value = row[label_at] if len(row) > label_at else ""
            raise UserError(
                "must be the number of a class",
                source=table,
                location=f"line {line}",
                value=value,
                allowed="rows of FILE,CLASS with classes from 0",
            )
        name, label = row[name_at], int(row[label_at])
        if rows.setdefault(name, label) != label:
            raise UserError("names a file twice", source=table, location=f"line {line}", value=name)
    return rows


def _split(lines: list[str], table: Path) -> Iterable[list[str]]:
    separator = next((mark for mark in (",", ";", "\t") if mark in lines[0]), None)
    if separator is not None:
        return (
            split_cells(line, separator=separator, source=table, location=f"row {number}")
            for number, line in enumerate(lines, 1)
        )
    return (line.rsplit(None, 1) for line in lines)


def _columns(table: Path, cells: list[list[str]]) -> tuple[int, int, list[list[str]]]:
    """Columns of names and classes, and the rows behind the header, if there is one."""
    header = [cell.lower() for cell in cells[0]]
    name_at = next((header.index(name) for name in _FILE_COLUMNS if name in header), None)
    label_at = next((header.index(name) for name in _LABEL_COLUMNS if name in header), None)
    if name_at is not None and label_at is not None:
        body = cells[1:]
        if not body:
            raise UserError("has a header and no rows", source=table)
        return name_at, label_at, body
    return 0, 1, cells
