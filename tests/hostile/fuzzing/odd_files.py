"""Commands on what is no ordinary file: pipes, loops of links, devices, folders, holes, odd names."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from simulator.cli import exit_code
from simulator.foundation import UserError, files
from tests.hostile.fuzzing import samples
from tests.hostile.fuzzing.mutations import VALUES
from tests.hostile.fuzzing.samples import Samples, network_file

_SUFFIXES: Final = (
    "",
    ".yaml",
    ".json",
    ".onnx",
    ".csv",
    ".npz",
    ".npy",
    ".cfg",
    ".png",
    ".html",
    ".parquet",
)
_DEVICES: Final = (
    *("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/proc/self/environ", "/proc/self/status"),
    *("/proc/self/mem", "/proc", "/dev"),
)  # fmt: skip
_NAMES: Final = (
    *("new\nline", "\u202eodd", "é字", "\x1b[31m", " odd", "odd ", "'\"`$(x)", "<script>", "%s%n", "[bold]", "{0}"),
    *("a=b", "a,b", "a:b", "=1+1", "~", "*", "x" * 250, "x" * 256, "nowhere/x", "n.yaml/x", "."),
)  # fmt: skip


def _pipe(path: Path, _: random.Random) -> None:
    os.mkfifo(path)


def _socket(path: Path, _: random.Random) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)


def _hole(path: Path, draw: random.Random) -> None:
    with path.open("wb") as file:
        file.truncate(draw.choice((10**6, 2**40)))


_LARGEST_BYTES: Final = 10**7
"""Of a file that is copied; a hole has more."""


def _good(path: Path, draw: random.Random) -> None:
    """A good file of some kind, perhaps in another encoding, under this name."""
    files = [
        file for file in path.parent.iterdir() if file.is_file() and file.stat().st_size < _LARGEST_BYTES
    ]
    text = draw.choice(files).read_bytes()
    path.write_bytes(draw.choice((text, b"\xef\xbb\xbf" + text, text.replace(b"\n", b"\r"), text[::-1])))


_WAYS: Final[tuple[Callable[[Path, random.Random], object], ...]] = (
    _pipe,
    _socket,
    _hole,
    _good,
    lambda path, _: path.symlink_to(path.name),
    lambda path, _: path.symlink_to("absent"),
    lambda path, draw: path.symlink_to(draw.choice(("n.yaml", "r.json", "m.onnx", "."))),
    lambda path, _: path.mkdir(),
    lambda path, _: path.write_bytes(b""),
    lambda path, _: path.write_bytes(b"\xff\xfe" + b"\0a" * 50),
)


def _odd(draw: random.Random, folder: Path, *, reads: bool) -> str:
    """The name of something odd, which is there from now on. Devices are for reading alone."""
    suffix = draw.choice(_SUFFIXES)
    if draw.random() < 0.3:
        return draw.choice(
            ("n.yaml", "r.json", "m.onnx", "images.npz", "table.yaml") if reads else ("out", "out.html")
        )
    if reads and draw.random() < 0.15:
        return draw.choice(_DEVICES)
    if draw.random() < 0.25:
        name = f"{draw.choice(_NAMES)}{suffix}"
        with contextlib.suppress(OSError, ValueError, LookupError):
            if draw.random() < 0.7:
                _good(folder / name, draw)
        return name
    name = f"odd{len(os.listdir(folder))}{suffix}"  # noqa: PTH208 - a count
    draw.choice(_WAYS)(folder / name, draw)
    return name


_READ, _WRITTEN, _ANY = "READ", "WRITTEN", "ANY"
_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "simulate": (_READ, "-q"),
    "simulate with an architecture": ("simulate", "n.yaml", "--arch", _READ, "-q"),
    "simulate with a mapping": ("simulate", "n.yaml", "--mapping", _READ, "--mapping-out", _WRITTEN, "-q"),
    "simulate with SCALE-Sim": ("simulate", _READ, "--scalesim-cfg", _READ, "-q"),
    "simulate, written": ("simulate", "n.yaml", "--out", _WRITTEN, "-q"),
    "simulate, traced": ("simulate", "n.yaml", "--trace", _WRITTEN, "-q"),
    "simulate, dumped": ("simulate", "n.yaml", "--vcd", _WRITTEN, "--layers", "conv1", "-q"),
    "simulate on images": ("simulate", "m.onnx", "--data", _READ, "-q"),
    "infer": ("infer", _READ, "--data", _READ, "--images", "2", "-q"),
    "infer, saved": ("infer", "m.onnx", "--data", "images.npz", "--images", "2", "--save", _WRITTEN, "-q"),
    "trace": ("trace", "m.onnx", "--data", "images.npz", "-o", _WRITTEN, "-q"),
    "compare": ("compare", "r.json", _READ, "--out", _WRITTEN, "-q"),
    "report": ("report", _READ, "r.json", "-o", _WRITTEN, "-q"),
    "report with plots": ("report", "r.json", "-o", "r.html", "--plots", _WRITTEN, "--figure", _ANY, "-q"),
    "explain": ("explain", _READ, _ANY),
    "reproduce": ("reproduce", _READ),
    "networks": ("networks", "show", _READ),
    "formats": ("formats", "show", _ANY),
    "macs": ("macs", "show", _ANY),
    "tables": ("tables", "check", _READ),
    "tables, begun": ("tables", "new", _WRITTEN),
}


def odd_files(draw: random.Random, made: Samples, folder: Path) -> None:
    """A command with odd files in place of those that it reads or writes."""
    network_file(folder)
    (folder / "r.json").write_text(json.dumps(made.result))
    (folder / "m.onnx").write_bytes(made.models["small"])
    (folder / "images.npz").write_bytes(made.arrays["a.npz"])
    (folder / "table.yaml").write_text(json.dumps(samples.TABLE))
    name = draw.choice(list(_COMMANDS))
    arguments = [name] if _COMMANDS[name][0] == _READ else []
    for part in _COMMANDS[name]:
        match part:
            case "READ" | "WRITTEN":
                arguments.append(_odd(draw, folder, reads=part == _READ))
            case "ANY":
                arguments.append(str(draw.choice(VALUES)))
            case _:
                arguments.append(part)
    out, error = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(files, "LONGEST_WAIT_FOR_READER_S", 0.0)  # nobody reads these pipes
        code = exit_code(arguments)
    assert code in (0, 1, 2), f"exit {code} of {arguments}: {error.getvalue()[:300]}"
    lines = error.getvalue().splitlines()
    assert all(line.isprintable() for line in lines), f"{arguments}: {error.getvalue()!r}"
    if code == 2 and "Usage:" not in error.getvalue() + out.getvalue():
        told = [line for line in lines if "overwrote" not in line]
        assert len(told) == 1, f"{arguments}: {error.getvalue()!r}"
        raise UserError(told[0].removeprefix("systolic: "))
