"""Thousands of changed inputs of every kind: each is accepted or refused in one line, none is a defect.

`make fuzz N=1000000 SEED=1` tries more of them; docs/limits.md has the figures.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.hostile.fuzzing import kinds, mutations
from tests.hostile.fuzzing.kinds import KINDS, Case
from tests.hostile.fuzzing.samples import Samples
from tests.hostile.fuzzing.trials import Tally, attempt, run, table

ALWAYS_CHANGED = {"ONNX graph", "path", "--set", "command line"}
"""Kinds whose cases are made anew, not from a good input."""

CHANGED_BY_THEMSELVES = (
    "ONNX through infer",
    "ONNX with measured toggles",
    "sizes of an ONNX model",
    "--preprocess",
    "folder of images",
    "explain",
    "Python values",
    "odd files",
    "text in cells",
    "environment",
    "estimate",
)
"""Kinds that start from something good and change it by rules of their own."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return Samples.made_in(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - ALWAYS_CHANGED - set(CHANGED_BY_THEMSELVES)))
def test_what_is_changed_is_good_before(
    kind: str, made: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a generator would only ever try what is refused for another reason."""
    for change in ("changed_document", "changed_text", "changed_bytes"):
        for module in (kinds, mutations):
            monkeypatch.setattr(module, change, lambda good, _: good)
    for module in (kinds, mutations):
        monkeypatch.setattr(module, "encoded", lambda text, _: text.encode())
    tally = Tally()
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert attempt(kind, random.Random(seed), made, folder, tally) is None
    assert tally.accepted[kind] >= 5


@pytest.mark.parametrize("kind", CHANGED_BY_THEMSELVES)
def test_some_of_what_changes_by_itself_is_good(kind: str, made: Samples, tmp_path: Path) -> None:
    tally = Tally()
    for seed in range(100):
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert attempt(kind, random.Random(seed), made, folder, tally) is None
    assert tally.accepted[kind] >= 3


def test_a_thousand_cases() -> None:
    tally = run(1000, seed=20)
    assert tally.failures == []
    assert sum(tally.accepted.values()) + sum(tally.refused.values()) == 1000
    assert sum(tally.accepted.values()) > 100


@pytest.mark.slow
def test_twenty_thousand_cases() -> None:
    began_s = time.process_time()
    count = int(os.environ.get("FUZZ_CASES", "20000"))
    tally = run(count, seed=int(os.environ.get("FUZZ_SEED", "0")))
    assert tally.failures == [], table(tally)
    assert min(tally.tried[kind] for kind in KINDS) > count // 100
    if count == 20_000:
        assert time.process_time() - began_s < 100


def test_a_case_is_the_same_whenever_it_is_tried() -> None:
    one, two = run(60, seed=3), run(60, seed=3)
    assert (one.accepted, one.refused, one.tried) == (two.accepted, two.refused, two.tried)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda *_: KINDS["absent"], "KeyError"),
        (lambda *_: [0] * 10**18, "MemoryError"),
        (lambda *_: spin(), "HangError"),
    ],
)
def test_a_defect_is_found(
    wrong: Case, told: str, made: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kinds.KINDS, "--set", wrong)
    monkeypatch.setattr("tests.hostile.fuzzing.trials.LONGEST_CPU_S", 0.2)
    from tests.hostile.fuzzing.trials import limited

    with limited():
        problem = attempt("--set", random.Random(1), made, tmp_path, Tally())
    assert problem is not None
    assert problem.startswith(told)


def spin() -> None:
    while True:
        pass
