"""Trying mutants: the unchanged tests first, then each mutant against them, several at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from tools.mutants.choice import chosen
from tools.mutants.settings import Equivalent, ModuleSettings, Settings
from tools.mutants.sites import Mutant, mutants_of
from tools.mutants.workplace import Finished, Processes, Workplace

Outcome = Literal["killed", "timed out", "survived"]

_UNCHANGED_TIMEOUT_S = 900.0
_WAKE_S = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant; `by` is the test (or signal) that killed it, `known` says why none can."""

    mutant: Mutant
    outcome: Outcome
    seconds: float
    by: str = ""
    known: Equivalent | None = None

    @property
    def is_equivalent(self) -> bool:
        """Known to be equivalent, and no test says otherwise."""
        return self.known is not None and self.outcome == "survived"

    @property
    def contradicts(self) -> bool:
        """Known to be equivalent, but a test tells it apart."""
        return self.known is not None and self.outcome != "survived"


@dataclass(frozen=True, slots=True)
class ModuleTrial:
    """The mutants of one module against its tests.

    `possible` counts the mutants that the module allows. `failure` says why none was tried, else it is empty.
    """

    module: str
    settings: ModuleSettings
    possible: int
    unchanged_seconds: float
    verdicts: tuple[Verdict, ...]
    stale: tuple[Equivalent, ...]
    failure: str = ""

    def count(self, outcome: Outcome) -> int:
        """Mutants with an outcome, equivalent ones not counted."""
        return sum(verdict.outcome == outcome and not verdict.is_equivalent for verdict in self.verdicts)

    @property
    def equivalent(self) -> int:
        """Mutants that no test can kill."""
        return sum(verdict.is_equivalent for verdict in self.verdicts)

    @property
    def ratio(self) -> float | None:
        """Killed and timed out among all that are not equivalent; None where there are none."""
        judged = len(self.verdicts) - self.equivalent
        return (self.count("killed") + self.count("timed out")) / judged if judged else None

    @property
    def is_good(self) -> bool:
        """The wanted ratio is reached, and every entry of the known equivalent ones is right."""
        reached = self.ratio is None or self.ratio >= self.settings.wanted
        wrong = any(verdict.contradicts for verdict in self.verdicts)
        return reached and not wrong and not self.stale and not self.failure


class Trials:
    """Tries modules in copies of a tree.

    Args:
        root: the tree.
        scratch: an empty folder for the copies.
        settings: counts, seed, jobs and timeouts.
        equivalents: the mutants known to be equivalent.
        say: takes a line of progress.
    """

    def __init__(
        self,
        root: Path,
        scratch: Path,
        settings: Settings,
        equivalents: Sequence[Equivalent],
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._equivalents = equivalents
        self._say = say
        self._processes = Processes()
        # All copies are copies of the first, so that an edit meanwhile does not make them differ.
        self._first = Workplace(root, scratch / "1", self._processes)
        others = [
            Workplace(self._first.folder, scratch / str(number), self._processes)
            for number in range(2, settings.jobs + 1)
        ]
        self._places = [self._first, *others]
        self._pool = ThreadPoolExecutor(settings.jobs)

    def run(self, modules: dict[str, ModuleSettings]) -> list[ModuleTrial]:
        """Try modules one after the other. Whatever interrupts this ends all processes."""
        try:
            return [self._module(module, of_module) for module, of_module in modules.items()]
        except BaseException:
            self._processes.stop()
            raise
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _module(self, module: str, settings: ModuleSettings) -> ModuleTrial:
        possible = mutants_of(module, self._first.source(module))
        entries = [entry for entry in self._equivalents if entry.module == module]
        stale = tuple(entry for entry in entries if not any(map(entry.is_about, possible)))
        unchanged = list(self._pool.map(lambda place: self._unchanged(place, module, settings), self._places))
        seconds = max(run.seconds for run in unchanged)
        failed = next((run for run in unchanged if run.exit_code != 0), None)
        if failed is not None:
            self._say(f"{module}: its tests fail unchanged")
            return ModuleTrial(module, settings, len(possible), seconds, (), stale, failure=failed.output)
        picked = chosen(possible, self._settings.mutants, self._settings.seed)
        timeout_s = self._settings.timeout_factor * seconds + self._settings.timeout_floor_s
        self._say(f"{module}: {len(picked)} of {len(possible)} mutants, tests take {seconds:.1f} s unchanged")
        verdicts = self._verdicts(picked, entries, settings, timeout_s)
        return ModuleTrial(module, settings, len(possible), seconds, verdicts, stale)

    def _unchanged(self, place: Workplace, module: str, settings: ModuleSettings) -> Finished:
        if not place.imports_from_here(module):
            return Finished(1, 0.0, f"{module} is not imported from the copy of the tree")
        return place.run_tests(settings, _UNCHANGED_TIMEOUT_S)

    def _verdicts(
        self, picked: list[Mutant], entries: list[Equivalent], settings: ModuleSettings, timeout_s: float
    ) -> tuple[Verdict, ...]:
        free: SimpleQueue[Workplace] = SimpleQueue()
        for place in self._places:
            free.put(place)

        def attempt(mutant: Mutant) -> Verdict:
            place = free.get()
            try:
                with place.changed(mutant):
                    finished = place.run_tests(settings, timeout_s)
            finally:
                free.put(place)
            known = next((entry for entry in entries if entry.is_about(mutant)), None)
            return Verdict(mutant, _outcome(finished), finished.seconds, _killer(finished), known)

        futures = [self._pool.submit(attempt, mutant) for mutant in picked]
        for number, future in enumerate(_as_completed(futures), start=1):
            verdict = future.result()
            word = "equivalent" if verdict.is_equivalent else verdict.outcome
            what = f"{verdict.mutant.name} {verdict.mutant.function}"
            self._say(f"  {number}/{len(picked)} {word:10} {verdict.seconds:5.1f} s  {what}")
        return tuple(future.result() for future in futures)


def _as_completed(futures: Sequence[Future[Verdict]]) -> Iterator[Future[Verdict]]:
    """Like `concurrent.futures.as_completed`, waking up now and then.

    An interruption that comes just before a wait is only noticed when the wait ends.
    """
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=_WAKE_S, return_when=FIRST_COMPLETED)
        yield from done


def _outcome(finished: Finished) -> Outcome:
    if finished.exit_code is None:
        return "timed out"
    return "killed" if finished.exit_code else "survived"


def _killer(finished: Finished) -> str:
    if not finished.exit_code:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", finished.output, re.MULTILINE)
    if found:
        return found[1]
    return f"signal {-finished.exit_code}" if finished.exit_code < 0 else f"exit code {finished.exit_code}"
