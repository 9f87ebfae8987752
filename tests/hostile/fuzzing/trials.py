"""Trying cases one after another in this process: accepted, refused in one line, or a defect."""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

from simulator.foundation import UserError
from tests.hostile.fuzzing.kinds import KINDS, WEIGHTS
from tests.hostile.fuzzing.samples import Samples

LONGEST_CPU_S: Final = 10.0
LONGEST_MESSAGE: Final = 4200


class HangError(Exception):
    """A case took more than `LONGEST_CPU_S` of processor time."""


@dataclass
class Tally:
    """What came of the cases of each kind, and processor seconds of each."""

    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    cpu_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))
    failures: list[str] = field(default_factory=list)


def run(count: int, *, seed: int, only: str | None = None, told: TextIO | None = None) -> Tally:
    """Try `count` cases, of one kind where it is named; case n of a seed is the same whatever the others are."""
    tally = Tally()
    names = list(KINDS if only is None else [only])
    weights = [WEIGHTS.get(name, 1.0) for name in names]
    with tempfile.TemporaryDirectory() as scratch, limited():
        made = Samples.made_in(_empty(Path(scratch) / "made"))
        for number in range(count):
            draw = random.Random(f"{seed}:{number}")
            kind = draw.choices(names, weights)[0]
            began_s = time.process_time()
            problem = attempt(kind, draw, made, _empty(Path(scratch) / "case"), tally)
            tally.cpu_s[kind] += time.process_time() - began_s
            tally.tried[kind] += 1
            if problem is not None:
                tally.failed[kind] += 1
                tally.failures.append(f"{kind}, seed {seed}, case {number}: {problem}")
                if told is not None:
                    told.write(f"{tally.failures[-1]}\n")
            if told is not None and number % 10_000 == 9_999:
                told.write(f"{number + 1:,} cases, {len(tally.failures)} defects\n")
    return tally


def attempt(kind: str, draw: random.Random, made: Samples, folder: Path, tally: Tally) -> str | None:
    """Try one case; what is wrong with how it ended, or None."""
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_CPU_S)
    try:
        KINDS[kind](draw, made, folder)
    except UserError as error:
        tally.refused[kind] += 1
        return _wrong_message(str(error))
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:300]} ({Path(frame.filename).name}:{frame.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    tally.accepted[kind] += 1
    return None


def _wrong_message(message: str) -> str | None:
    if not message.isprintable():
        return f"a message that is not one printable line: {message!r}"
    if not 5 < len(message) < LONGEST_MESSAGE:
        return f"a message of {len(message)} characters"
    return None


def _empty(folder: Path) -> Path:
    """The folder with nothing in it; one that is empty is kept, as making folders takes longer than a case."""
    if not folder.is_dir() or any(folder.iterdir()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    return folder


@contextmanager
def limited() -> Iterator[None]:
    """Turn the signal of the processor timer into `HangError`, but for kernels that are compiled."""

    def hang(_number: int, frame: FrameType | None) -> None:
        if not _compiles(frame):
            raise HangError
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_CPU_S)

    before = signal.signal(signal.SIGVTALRM, hang)
    try:
        yield
    finally:
        signal.signal(signal.SIGVTALRM, before)


def _compiles(frame: FrameType | None) -> bool:
    """Whether numba is at work, which happens once for an installation."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("numba.core.compiler"):
            return True
        frame = frame.f_back
    return False


def table(tally: Tally) -> str:
    """Figures of each kind as Markdown."""
    lines = [
        "| kind | cases | accepted | refused | defects | CPU ms a case |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for kind in KINDS:
        counts = tally.accepted[kind], tally.refused[kind], tally.failed[kind]
        cases = tally.tried[kind]
        shown = " | ".join(f"{count:,}" for count in (cases, *counts))
        lines.append(f"| {kind} | {shown} | {1000 * tally.cpu_s[kind] / max(cases, 1):.1f} |")
    return "\n".join(lines)
