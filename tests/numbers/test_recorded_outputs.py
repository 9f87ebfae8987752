"""Are outputs that tests take from the slow reference the ones recorded from the published circuits?

The recordings are not part of the repository, their hashes are: an array computed here has the recorded one's
SHA-256. Tests that compare the simulator with a circuit or with SCALE-Sim take the arrays computed here.
"""

from __future__ import annotations

import tomllib

import pytest

from tests.reference.recorded import HASHES, RECORDS, recomputed, sha256, stimuli

RECORDED = tomllib.loads(HASHES.read_text(encoding="utf-8"))


@pytest.mark.parametrize("record", RECORDS)
def test_every_array_has_the_hash_of_the_recorded_one(record: str) -> None:
    assert {name: sha256(array) for name, array in recomputed(record).items()} == RECORDED[record]


def test_every_record_is_asked_about() -> None:
    assert set(RECORDED) == set(RECORDS)
    assert sum(len(arrays) for arrays in RECORDED.values()) == sum(len(recomputed(r)) for r in RECORDS)


def test_one_bit_changes_a_hash() -> None:
    increments = recomputed("log8_products")["increment"].copy()
    increments[17, 200] ^= 1
    assert sha256(increments) != RECORDED["log8_products"]["increment"]


def test_stimuli_are_inputs_only() -> None:
    """No output of a circuit is in the repository."""
    outputs = {"increment", "acc_out", "inf_out", "code_beta5", "code_beta8", "c0", "acc0", "code0", "inf0"}
    for record in RECORDS:
        assert not outputs & set(stimuli(record)), record
    assert set(stimuli("log8_products")) == set()
