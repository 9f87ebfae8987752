"""`python -m tests.hostile.surroundings N [SEED]`: commands in processes of their own, in odd surroundings.

Locale, encodings, homes and caches that cannot be written, and files of other users, which root may not read
without its capabilities: a command prints what it prints undisturbed, or says in one line why not, with exit
code 2.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
LONGEST_S: Final = 300
NOBODY: Final = 65534
_DROP_FROM_BOUNDING_SET, _OVERRIDE, _READ_SEARCH = 24, 1, 2
"""Of `prctl` and `capabilities` of Linux: reading and writing whatever the permissions are."""

NETWORK: Final = (
    "{name: zw\u00f6lf, source: written for this trial, layers: [{name: \u5b57, fc: {k: 64, n: 10}}]}\n"
)

_PLACES: Final = (
    "/proc/absent",
    "/dev/null",
    "/dev/full",
    "locked",
    "n.yaml",
    "",
    "odd/\u00e9",
    "/nonexistent/x",
)
VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "LANG": ("C", "xx", "tr_TR.UTF-8", "", "de_DE.ISO-8859-1"),
    "LC_ALL": ("C", "POSIX", "xx", "C.UTF-8"),
    "PYTHONIOENCODING": ("ascii", "latin-1", "utf-8", "ascii:strict", "utf-16"),
    "PYTHONUTF8": ("0", "1"),
    "PYTHONCOERCECLOCALE": ("0",),
    "HOME": _PLACES,
    "XDG_CACHE_HOME": _PLACES,
    "XDG_CONFIG_HOME": _PLACES,
    "NUMBA_CACHE_DIR": _PLACES,
    "MPLCONFIGDIR": _PLACES,
    "TMPDIR": _PLACES,
    "SYSTOLIC_CACHE_DIR": _PLACES,
}
COMMANDS: Final = (
    ("simulate", "n.yaml", "--layers"),
    ("simulate", "n.yaml", "--json"),
    ("networks",),
    ("macs", "show", "int8"),
    ("infer", "lenet5_fashion", "--images", "2"),
    ("report", "r", "-o", "page.html", "--plots", "plots", "--figure", "roofline", "--format", "svg", "-q"),
    ("compare", "n.yaml", "--mac", "int8", "--csv", "table.csv"),
    ("simulate", "unreadable.yaml"),
    ("simulate", "n.yaml", "--out", "locked/out"),
)
"""Of the last two the files are other users', which root may read and write all the same."""


def prepared(folder: Path) -> Path:
    """The folder with what the commands read; what is locked belongs to another user."""
    (folder / "n.yaml").write_text(NETWORK, encoding="utf-8")
    shutil.copy(folder / "n.yaml", folder / "unreadable.yaml")
    run(("simulate", "n.yaml", "--out", "r", "-q"), folder, {}, is_plain_user=False)
    (folder / "locked").mkdir()
    if os.geteuid() == 0:
        for name in ("locked", "unreadable.yaml"):
            os.chown(folder / name, NOBODY, NOBODY)
    (folder / "locked").chmod(0o500)
    (folder / "unreadable.yaml").chmod(0o000)
    return folder


def _give_up_capabilities() -> None:
    """Let root be refused what other users are, once it has become another program."""
    for capability in (_OVERRIDE, _READ_SEARCH):
        assert ctypes.CDLL(None, use_errno=True).prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) == 0


def run(
    arguments: tuple[str, ...], folder: Path, variables: Mapping[str, str], *, is_plain_user: bool
) -> subprocess.CompletedProcess[bytes]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        check=False,
        timeout=LONGEST_S,
        preexec_fn=_give_up_capabilities if is_plain_user else None,
    )


def problem_of(done: subprocess.CompletedProcess[bytes], expected: bytes, encoding: str) -> str | None:
    """What is wrong with how a command ended; `expected` is what it prints where nothing is odd."""
    lines = done.stderr.splitlines()
    if done.returncode not in (0, 2):
        return f"exit {done.returncode}: {done.stderr[:300]!r}"
    if done.returncode == 2:
        is_told = len(lines) == 1 and lines[0].startswith(b"systolic: ")
        return None if is_told and not done.stdout else f"exit 2 with {done.stderr[:300]!r}"
    if any(not line.startswith(b"systolic: overwrote") for line in lines):
        return f"exit 0 with {done.stderr[:300]!r}"
    wanted = expected.decode().encode(encoding, errors="backslashreplace")
    if encoding == "utf-8" and done.stdout.replace(b"\r", b"") != wanted:
        return f"prints something else: {done.stdout[:200]!r}"
    return None


def main() -> None:
    """Do as many trials as the command line says, with its seed, and print what came of them."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    is_root = os.geteuid() == 0
    tally: Counter[str] = Counter()
    failures = []
    known: dict[tuple[str, ...], bytes] = {}
    for number in range(count):
        draw = random.Random(f"{seed}:{number}")
        arguments = COMMANDS[number % len(COMMANDS)]
        names = draw.sample(sorted(VARIABLES), draw.choice((1, 2, 3)))
        variables = {name: draw.choice(VARIABLES[name]) for name in names}
        is_plain_user = is_root and draw.random() < 0.5
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch).chmod(0o755)
            if arguments not in known:
                known[arguments] = run(arguments, prepared(Path(scratch)), {}, is_plain_user=False).stdout
                shutil.rmtree(scratch)
                Path(scratch).mkdir(0o755)
            folder = prepared(Path(scratch))
            done = run(arguments, folder, variables, is_plain_user=is_plain_user)
            left = [path.name for path in folder.rglob("*.part")]
        plain = {"PYTHONIOENCODING", "LANG", "LC_ALL", "PYTHONUTF8", "PYTHONCOERCECLOCALE"}.isdisjoint(
            variables
        )
        problem = problem_of(done, known[arguments], "utf-8" if plain else "ascii")
        problem = problem or (f"{left} is left behind" if left else None)
        if is_plain_user and arguments[1:2] == ("unreadable.yaml",) and done.returncode != 2:
            problem = "reads a file that it may not read"
        tally[f"{' '.join(arguments[:2])}: exit {done.returncode}"] += 1
        came = problem or "as it should"
        sys.stderr.write(f"trial {number}, {arguments[0]}, {variables}, plain {is_plain_user}: {came}\n")
        if problem:
            failures.append(
                f"trial {number}, {arguments}, {variables}, plain user {is_plain_user}: {problem}"
            )
    for name, trials in sorted(tally.items()):
        sys.stdout.write(f"{name}: {trials}\n")
    sys.stdout.write("\n".join(failures) + "\n")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
