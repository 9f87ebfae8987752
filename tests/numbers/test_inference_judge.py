"""Is an output judged as its definition says? All expected values are counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.inference.judge import Judge, OutputTally, as_logits, class_axis

NAN = np.nan


def judged(output: np.ndarray, reference: np.ndarray, labels: list[int] | None = None) -> Judge:
    judge = Judge()
    for place in range(len(output)):  # one image a chunk
        known = None if labels is None else np.array(labels[place : place + 1])
        judge.add(output[place : place + 1], reference[place : place + 1], known)
    return judge


def test_first_and_first_five_of_known_logits() -> None:
    reference = np.array(
        [
            [3.0, 2.0, 1.0, 0.0, -1.0, -2.0],  # label 0: first
            [1.0, 1.0, 0.0, 0.0, 0.0, 0.5],  # label 1: ties go to the lower class, so second
            [NAN, 5.0, 4.0, 3.0, 2.0, 1.0],  # label 0: NaN counts as the smallest, so sixth
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # label 4: fifth of a tie
        ]
    )
    output = reference[::-1].copy()  # images 0 to 3 get the answers of images 3 to 0
    judge = judged(output, reference, [0, 1, 0, 4])
    assert judge.outcomes_float32.tolist() == [True, False, False, False]
    assert judge.top5(judge.among_top_float32) == 3 / 4
    # First answers of the reversed rows: 0, 1, 0, 0.
    assert judge.outcomes.tolist() == [True, True, True, False]
    # Label 4 in [3, 2, 1, 0, -1, -2] is fifth, so every label is among the first five.
    assert judge.top5(judge.among_top) == 1.0
    # Answers of float32 are 0, 0, 1, 0: images 0 and 3 agree.
    assert judge.agreement == 2 / 4


def test_fewer_than_five_classes_have_no_top5() -> None:
    judge = judged(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), [0, 1, 0])
    assert judge.outcomes.tolist() == [True, True, False]
    assert judge.top5(judge.among_top) is None


def test_without_labels_an_image_is_right_where_it_agrees() -> None:
    reference = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    judge = judged(np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]), reference)
    assert judge.outcomes.tolist() == [True, False, True]
    assert judge.outcomes_float32.size == 0
    assert judge.agreement == 2 / 3


@pytest.mark.parametrize(
    ("shape", "axis", "logits"),
    [
        ((4, 10), 1, (4, 10)),
        ((4, 10, 1, 1), 1, (4, 10)),
        ((4, 3, 5, 7), 1, None),  # feature maps: classes are channels
        ((4, 6, 100), 2, None),  # tokens: classes come last
        ((4, 1), None, None),  # one value is no choice
        ((4,), None, None),
    ],
)
def test_which_axis_holds_the_classes(
    shape: tuple[int, ...], axis: int | None, logits: tuple[int, ...] | None
) -> None:
    output = np.zeros(shape, np.float32)
    assert class_axis(output) == axis
    found = as_logits(output)
    assert (None if found is None else found.shape) == logits


def test_places_of_a_map_agree_one_by_one() -> None:
    # Two classes over 2 x 2 places in one image; class 1 wins where its map is positive.
    reference = np.stack([np.zeros((2, 2)), [[1.0, -1.0], [1.0, -1.0]]])[None]
    output = np.stack([np.zeros((2, 2)), [[1.0, 1.0], [1.0, -1.0]]])[None]
    judge = judged(output, reference)
    assert judge.agreement == 3 / 4
    assert judge.outcomes.size == 0


def test_distance_of_every_output() -> None:
    tally = OutputTally()
    # Two chunks: reference power 9 + 16 = 25, error 0.3 once: 10 log10(25 / 0.09) = 24.43697499 dB.
    for wanted, got in ((3.0, 3.3), (4.0, 4.0)):
        one = np.array([[wanted]])
        tally.add({"y": np.array([[got]]), "z": one}, {"y": one, "z": one})
    found = tally.summary()
    assert found["y"].shape == (2, 1)
    assert found["y"].sqnr_db == pytest.approx(24.43697499)
    assert found["y"].largest_error == pytest.approx(0.3)
    # (3 x 3.3 + 16) / sqrt(25 x (10.89 + 16)) = 25.9 / 25.92778...
    assert found["y"].cosine == pytest.approx(25.9 / (25 * 26.89) ** 0.5)
    assert found["z"].sqnr_db is None
    assert found["z"].largest_error == 0.0
