"""Try mutants of the modules in modules.toml against their own tests; `make mutants`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from simulator.foundation import UserError
from simulator.foundation.files import prepare_folder, write_text
from tools.mutants.report import document, markdown
from tools.mutants.settings import Equivalent, Settings, load_equivalents, load_settings, select
from tools.mutants.trial import ModuleTrial, Trials

ROOT = Path(__file__).resolve().parents[2]
_DATA = Path("tools/mutants")


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command on the tree at `root`; return its exit code.

    0: every module reached its wanted ratio. 1: one did not, its tests fail unchanged, or an entry of
    equivalent.toml is stale or wrong. 2: the arguments or tables cannot be used. 130: interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        return _run(options, root)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="paths as in modules.toml; all where none is given")
    parser.add_argument("--mutants", type=int, help="how many of each module")
    parser.add_argument("--seed", type=int, help="decides which")
    parser.add_argument("--jobs", type=int, help="how many at a time")
    parser.add_argument("--out", type=Path, help="folder for mutants.json and mutants.md (default: build)")
    return parser


def _run(options: argparse.Namespace, root: Path) -> int:
    settings = load_settings(root / _DATA / "modules.toml", root)
    given = {name: getattr(options, name) for name in ("mutants", "seed", "jobs")}
    settings = settings.overridden({name: value for name, value in given.items() if value is not None})
    modules = select(settings, options.modules)
    equivalents = load_equivalents(root / _DATA / "equivalent.toml")
    strays = [entry for entry in equivalents if entry.module not in settings.modules]
    folder = prepare_folder(options.out or root / "build")
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        trials = Trials(root, Path(scratch), settings, equivalents, say=_say).run(modules)
    return _report(trials, settings, strays, folder)


def _report(trials: list[ModuleTrial], settings: Settings, strays: list[Equivalent], folder: Path) -> int:
    text = markdown(trials, settings, strays)
    write_text(folder / "mutants.md", text)
    write_text(folder / "mutants.json", document(trials, settings, strays))
    print(f"\n{text}\nWritten to {folder}/mutants.md and mutants.json.")
    return 0 if all(trial.is_good for trial in trials) and not strays else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def run(root: Path = ROOT) -> NoReturn:
    """The command as a process of its own, which a termination interrupts as Ctrl-C does."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell ignores the first one for what it runs behind
        signal.signal(number, _interrupt)
    sys.exit(main(root=root))


if __name__ == "__main__":
    run()
