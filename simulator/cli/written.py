"""What a command says of the files it wrote, and which names it takes for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer

from simulator.cli.streams import say
from simulator.foundation import UserError
from simulator.foundation.reading.content import is_regular_or_absent

_MOST_NAMED: Final = 5


def tell_overwritten(files: Sequence[Path], *, quiet: bool) -> None:
    """Say on stderr which files were there before and have been written anew."""
    if files and not quiet:
        names = [str(file) for file in files[:_MOST_NAMED]]
        more = len(files) - len(names)
        text = ", ".join(names) + (f" and {more} more" if more else "")
        say(f"overwrote {text}")


def tell_written(*files: Path | None, folder: Path | None = None, names: Sequence[str] = ()) -> None:
    """Say below a page of text which files a command wrote; None: one that was not asked for.

    folder, names: a folder and the files in it; of more than five only how many.
    """
    for file in files:
        if file is not None:
            typer.echo(f"wrote {file}")
    if folder is not None:
        typer.echo(
            f"wrote {folder}: {', '.join(names) if len(names) <= _MOST_NAMED else f'{len(names)} files'}"
        )


def require_suffix(path: Path | None, suffixes: Sequence[str], *, option: str) -> None:
    """Refuse a file whose name says that it is of another kind; devices and pipes may have any name.

    Raises:
        UserError: the name ends otherwise.
    """
    if path is not None and path.suffix.lower() not in suffixes and is_regular_or_absent(path):
        raise UserError(
            "unknown kind of file",
            source=option,
            value=str(path),
            allowed=f"a name that ends in {' or '.join(suffixes)}",
        )
