"""What is wrong in a sweep's store is named: flipped bits, foreign files, points under another key."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from simulator.foundation import UserError
from simulator.foundation.reading import content
from simulator.sweep.executors import local_processes
from simulator.sweep.jobs import Job, plan
from simulator.sweep.runner import run_stored
from simulator.sweep.spec import SweepSpec, load_spec, sweep_points
from simulator.sweep.store import SweepStore
from tests.command import run

NETWORK = "{name: one, source: written for this test, layers: [{name: fc1, fc: {k: 64, n: 10}}]}"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Job]]:
    """A specification, and a store that has both of its points."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "one.yaml").write_text(NETWORK)
    spec = SweepSpec(networks=(str(folder / "one.yaml"),), grid={"array.rows": [8, 16]})
    (folder / "spec.yaml").write_text(f"networks: [{folder / 'one.yaml'}]\ngrid: {{array.rows: [8, 16]}}\n")
    jobs = [job for job in plan(sweep_points(spec)) if isinstance(job, Job)]
    with SweepStore(folder / "spec.store") as store, local_processes(1) as workers:
        assert run_stored(jobs, store, workers) == {}
    return folder, jobs


@pytest.fixture
def copy(filled: tuple[Path, list[Job]], tmp_path: Path) -> Path:
    shutil.copytree(filled[0] / "spec.store", tmp_path / "spec.store")
    shutil.copy(filled[0] / "spec.yaml", tmp_path / "spec.yaml")
    return tmp_path


def test_every_single_flipped_bit_is_noticed(copy: Path, filled: tuple[Path, list[Job]]) -> None:
    key = filled[1][0].key
    with SweepStore(copy / "spec.store") as store:
        store.require_sound([key])
        store.result(key)
        content = store.path(key).read_bytes()
        draw = random.Random(11)
        for _ in range(200):
            flipped = bytearray(content)
            flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            store.path(key).write_bytes(flipped)
            with pytest.raises(UserError) as caught:
                store.require_sound([key])
            assert str(store.path(key)) in str(caught.value)
            with pytest.raises(UserError, match="corrupted"):
                store.result(key)


def test_a_point_under_the_key_of_another_is_noticed(
    copy: Path, filled: tuple[Path, list[Job]], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (copy / "spec.store" / "points" / f"{job.key}.json" for job in filled[1])
    shutil.copy(first, second)
    outcome = run(capsys, "sweep", copy / "spec.yaml", "--jobs", "1")
    outcome.must_refuse(
        str(second), "belongs to another point", "delete this file to compute its point again"
    )


@pytest.mark.parametrize("name", [".x.part", "notes.txt", "x" * 64 + ".json", f".{'0' * 64}.json.1.part"])
@pytest.mark.parametrize("is_folder", [True, False])
def test_what_is_no_point_is_named(name: str, is_folder: bool, copy: Path) -> None:
    path = copy / "spec.store" / "points" / name
    if is_folder:
        path.mkdir()
    else:
        path.write_text("")
    if name.startswith(".0") and not is_folder:  # what a killed sweep leaves behind
        SweepStore(copy / "spec.store").close()
        assert not path.exists()
        return
    with pytest.raises(UserError, match="is no point of a sweep") as caught:
        SweepStore(copy / "spec.store")
    assert str(path)[:300] in str(caught.value)
    assert path.exists()


def test_points_of_other_sweeps_are_told_of_and_kept(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = copy / "spec.yaml"
    spec.write_text(spec.read_text().replace("[8, 16]", "[8]"))
    before = sorted((copy / "spec.store" / "points").iterdir())
    told = run(capsys, "sweep", spec, "--jobs", "1").must_succeed().stderr
    assert "1 points are not of this sweep and stay unused, such as" in told
    assert sorted((copy / "spec.store" / "points").iterdir()) == before


@pytest.mark.parametrize(
    ("marker", "part"),
    [
        ("", "the store is corrupted"),
        ("[]", "does not mark a sweep store"),
        ('{"format": "systolic sweep store", "version": 1}', "of another version (got 1)"),
        ('{"format": "systolic sweep store", "version": true}', "of another version (got True)"),
        ('{"format": "systolic sweep store", "version": 2.0}', "of another version (got 2.0)"),
        ('{"format": "systolic sweep store", "version": [2]}', "of another version"),
    ],
)
def test_a_marker_that_is_none_is_refused(marker: str, part: str, copy: Path) -> None:
    (copy / "spec.store" / "store.json").write_text(marker)
    with pytest.raises(UserError) as caught:
        SweepStore(copy / "spec.store")
    assert part in str(caught.value)


def test_a_file_in_place_of_a_store_is_refused_with_what_is_allowed(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = copy / "notes.txt"
    file.write_text("mine")
    sweep = run(capsys, "sweep", copy / "spec.yaml", "--store", file)
    sweep.must_refuse(f"{file}: is a file, not the folder of a sweep store; allowed: a new or empty folder")
    command = ("infer", "lenet5_fashion", "--images", "1", "--jobs", "1", "--store", file)
    run(capsys, *command).must_refuse(
        f"{file}: is a file, not the folder of a store of inference; allowed: a new or empty folder"
    )
    assert file.read_text() == "mine"


def reads_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Points that are read from a store from now on, by their keys, as often as they are."""
    found: list[str] = []
    read_bytes = content.read_bytes

    def noted(path: Path, *, most_bytes: int) -> bytes:
        if path.parent.name == "points":
            found.append(path.stem)
        return read_bytes(path, most_bytes=most_bytes)

    monkeypatch.setattr(content, "read_bytes", noted)
    return found


def test_a_store_with_work_left_is_read_once(
    filled: tuple[Path, list[Job]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folder, jobs = filled
    spec, store = tmp_path / "more.yaml", tmp_path / "more.store"
    spec.write_text((folder / "spec.yaml").read_text().replace("[8, 16]", "[4, 8, 16]"))
    shutil.copytree(folder / "spec.store", store)
    found = reads_of(monkeypatch)
    first = run(capsys, "sweep", spec, "--jobs", "1", "--json").must_succeed()
    keys = sorted(path.stem for path in (store / "points").iterdir())
    assert len(keys) == 3
    assert {job.key for job in jobs} < set(keys)
    assert sorted(found) == keys
    found.clear()
    again = run(capsys, "sweep", spec, "--jobs", "1", "--json").must_succeed()
    assert sorted(found) == keys
    assert again.stdout == first.stdout


def test_a_group_is_compared_with_its_first_point_whichever_was_finished_first(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Accuracies of points that were there before their group's first one are told against that one."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "networks: [lenet5_fashion]\ndata: fashion_mnist_1000\nimages: 20\nmacs: [int8, elma8, fp8]\n"
    )
    whole = run(capsys, "sweep", spec, "--jobs", "1", "--json").must_succeed().stdout
    rows = json.loads(whole)["points"]
    with SweepStore(tmp_path / "spec.store") as store:
        planned = plan(sweep_points(load_spec(spec)), tensors=load_spec(spec).tensors)
        first = next(job.key for job in planned if isinstance(job, Job))
        assert sorted(store.keys())
        store.path(first).unlink()
    assert run(capsys, "sweep", spec, "--jobs", "1", "--json").must_succeed().stdout == whole
    # 20 images: points are multiples of 5, of the first one 0.
    assert rows[0]["top1_points"] == 0.0
    assert [row["top1_points"] for row in rows] == [
        pytest.approx(100 * (row["top1"] - rows[0]["top1"])) for row in rows
    ]
    assert any(row["top1_points"] for row in rows)
