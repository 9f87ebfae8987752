"""Is evidence on a folder of images kept, resumed and written as measured?"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from simulator.foundation import UserError
from simulator.inference import Data, Model
from simulator.inference.float32_outputs import Float32Outputs, float32_outputs
from simulator.result_accuracy import Accuracy, pack_outcomes
from tests.image_data import save_channel_network, save_image
from tools import imagenet_evidence
from tools.evidence_points import FIXED_WEIGHTS, FLOAT_WEIGHTS, POSIT, WITHOUT_EXPONENT, Point, points
from tools.evidence_store import EvidenceStore, Measurement
from tools.imagenet_page import Evidence, page


def measured(right: list[bool], float32: list[bool], **choices: object) -> Measurement:
    accuracy = Accuracy(
        images=len(right),
        top1=sum(right) / len(right),
        top1_float32=sum(float32) / len(float32),
        policy="drop_in",
        right=pack_outcomes(right),
        right_float32=pack_outcomes(float32),
        choices=choices,
    )
    return Measurement(accuracy, (), (), "2026-01-02", "0.1", 1.0)


def test_every_point_once_and_the_most_telling_first() -> None:
    planned = points()
    assert len(set(planned)) == len(planned)
    assert len({point.name for point in planned}) == len(planned)
    assert [point.mac for point in planned[:6]] == ["int8", "elma8", "posit8", "fp8", "mixed8", "bf16"]
    assert Point("e2m1 x e2m1", "mse") in planned


def test_a_store_is_of_one_model_and_names_damage(tmp_path: Path) -> None:
    identity = {"model_sha256": "a", "images": 8}
    store = EvidenceStore(tmp_path, identity)
    assert store.find(POSIT) is None
    store.keep(POSIT, measured([True] * 8, [True] * 8))
    found = EvidenceStore(tmp_path, identity).find(POSIT)
    assert found is not None
    assert found.accuracy.outcomes == [True] * 8
    with pytest.raises(UserError, match="measured with another images"):
        EvidenceStore(tmp_path, identity | {"images": 9})
    store.path(POSIT).write_text("{}")
    with pytest.raises(UserError, match="is no measurement"):
        store.find(POSIT)


def test_the_page_says_what_appears_and_what_is_missing() -> None:
    identity = {"model": "net.onnx", "model_sha256": "0" * 64, "images": 200, "preprocess": "unit"}
    all_right, none = [True] * 200, [False] * 200
    widths = {"activation": "fix8", "weight_storage_saved_against_8_bits": 0.25}
    evidence = Evidence(
        identity,
        {
            POSIT: measured(all_right, all_right),
            WITHOUT_EXPONENT: measured(none, all_right),
            FLOAT_WEIGHTS: measured(all_right, all_right, widths=widths | {"weight": "e3m2"}),
            FIXED_WEIGHTS: measured(
                all_right,
                all_right,
                widths=widths | {"weight": "int7", "weight_storage_saved_against_8_bits": 0.125},
            ),
        },
    )
    text = page(evidence)
    assert (
        "posit(8,0) collapses where posit(8,1) does not | appears (at least 10 points apart: +100.0" in text
    )
    assert "float weights need less storage at equal accuracy | appears (e3m2 against int7)" in text
    assert "exponent bias of -4 at the last layer | not measured" in text
    assert f"{len(points()) - 4} of {len(points())} points were not measured yet" in text
    # 8 x 7 and 8 x 3 cells of a significand multiplier, over 8 x 8.
    assert "| fixed point: int7 | fix8 | 100.0 % | +0.0 (-1.0 to +1.0) | 12.5 % | 87.5 % |" in text
    assert "| floats: e3m2 | fix8 | 100.0 % | +0.0 (-1.0 to +1.0) | 25.0 % | 37.5 % |" in text


def test_points_are_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_channel_network(tmp_path)
    for place, colour in enumerate(((200, 20, 10), (10, 210, 30), (30, 20, 190)) * 4):
        save_image(tmp_path / "photos" / f"{place % 3}_{place}.png", colour)
    command = [str(model), str(tmp_path / "photos"), "--store", str(tmp_path / "store"), "--only", "int8"]
    monkeypatch.setattr(sys, "argv", ["imagenet_evidence", *command])
    imagenet_evidence.main()
    assert "int8__default: 100.0 %" in capsys.readouterr().out
    imagenet_evidence.main()
    assert not capsys.readouterr().out
    page_file = tmp_path / "page.md"
    monkeypatch.setattr(
        sys, "argv", ["imagenet_evidence", "--store", str(tmp_path / "store"), "--page", str(page_file)]
    )
    imagenet_evidence.main()
    assert "| int8 | max | 100.0 % |" in page_file.read_text(encoding="utf-8")


def test_float32_runs_once_for_all_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_channel_network(tmp_path)
    for place, colour in enumerate(((200, 20, 10), (10, 210, 30), (30, 20, 190)) * 4):
        save_image(tmp_path / "photos" / f"{place % 3}_{place}.png", colour)
    runs = []

    def counted(model: Model, data: Data) -> Float32Outputs:
        runs.append(model)
        return float32_outputs(model, data)

    monkeypatch.setattr(imagenet_evidence, "float32_outputs", counted)
    for macs in (["int8", "posit8"], ["bf16"]):
        command = [str(model), str(tmp_path / "photos"), "--store", str(tmp_path / "store"), "--only", *macs]
        monkeypatch.setattr(sys, "argv", ["imagenet_evidence", *command])
        imagenet_evidence.main()
    assert len(runs) == 1
    assert capsys.readouterr().out.count("100.0 %") == 3
