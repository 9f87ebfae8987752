"""Comparing, reporting and sweeping with bad input: one message, exit code 2, nothing half written."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from simulator.result import SCHEMA_VERSION
from simulator.sweep.store import SweepStore
from tests.command import run
from tests.report_fixtures import make_result

Capture = pytest.CaptureFixture[str]


def _result(folder: Path, name: str, network: str = "toynet") -> Path:
    file = folder / f"{name}.json"
    file.write_text(make_result(network).to_json())
    return file


def _spec(folder: Path, **fields: object) -> Path:
    file = folder / "spec.yaml"
    file.write_text(json.dumps({"networks": ["alexnet"], **fields}))
    return file


@pytest.mark.parametrize("command", ["compare", "report"])
def test_results_of_different_networks(tmp_path: Path, capsys: Capture, command: str) -> None:
    files = [_result(tmp_path, "a", "alexnet"), _result(tmp_path, "b", "vgg16")]
    extra: list[str | Path] = ["-o", tmp_path / "out.html"] if command == "report" else []
    run(capsys, command, *files, *extra).must_refuse("different networks", "alexnet", "vgg16", "--mixed")
    assert not (tmp_path / "out.html").exists()
    run(capsys, command, *files, *extra, "--mixed").must_succeed()


@pytest.mark.parametrize("command", ["compare", "report"])
def test_a_result_of_another_schema_version(tmp_path: Path, capsys: Capture, command: str) -> None:
    file = _result(tmp_path, "a")
    file.write_text(file.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'))
    run(capsys, command, file).must_refuse(str(file), "schema_version", "99", "allowed: 1 or 2")


def test_a_result_whose_sums_do_not_close(tmp_path: Path, capsys: Capture) -> None:
    document = json.loads(make_result().to_json())
    document["totals"]["cycles"] += 1
    file = tmp_path / "a.json"
    file.write_text(json.dumps(document))
    run(capsys, "report", file).must_refuse(str(file), "cycles do not add up")


def test_a_result_file_that_is_not_there(tmp_path: Path, capsys: Capture) -> None:
    run(capsys, "compare", tmp_path / "gone.json").must_refuse("gone.json", "cannot be read")


def test_a_report_that_cannot_be_written(tmp_path: Path, capsys: Capture) -> None:
    file = _result(tmp_path, "a")
    run(capsys, "report", file, "-o", tmp_path / "nowhere" / "out.html").must_refuse("cannot be written")


@pytest.mark.parametrize("name", ["page.pdf", "page.json", "page"])
def test_a_report_is_not_written_under_the_name_of_another_kind(
    tmp_path: Path, capsys: Capture, name: str
) -> None:
    out, plots = tmp_path / name, tmp_path / "plots"
    complaint = "--out", str(out), "unknown kind of file", "a name that ends in .html"
    run(capsys, "report", _result(tmp_path, "a"), "-o", out, "--plots", plots).must_refuse(*complaint)
    assert not out.exists()
    assert not plots.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("report", "a.json", "--plots", "plots", "--width", "narrow"),
            "--width: unknown value (got 'narrow'); allowed: screen, column, page",
        ),
        (
            ("report", "a.json", "--plots", "plots", "--width", "colum"),
            "--width: unknown value (got 'colum'); allowed: screen, column, page; did you mean 'column'?",
        ),
        (
            ("report", "a.json", "--plots", "plots", "--width", 'one\'s "own"'),
            "--width: unknown value (got 'one\\'s \"own\"'); allowed: screen, column, page",
        ),
        (
            ("report", "a.json", "--plots", "plots", "--format", "gif"),
            "--format: unknown file format of charts (got 'gif'); allowed: pdf, png, svg",
        ),
        (
            ("simulate", "lenet5_fashion", "--engine", "gird"),
            "--engine: unknown value (got 'gird'); allowed: event, grid; did you mean 'grid'?",
        ),
    ],
)
def test_an_option_of_some_names_is_refused_as_all_values_are(
    capsys: Capture, arguments: tuple[str, ...], told: str
) -> None:
    run(capsys, *arguments).must_refuse(f"systolic: {told}\n")


def test_finished_results_take_no_options_of_a_simulation(tmp_path: Path, capsys: Capture) -> None:
    run(capsys, "compare", _result(tmp_path, "a"), "--mac", "int8").must_refuse("--mac")


def test_two_networks_are_not_one_comparison(capsys: Capture) -> None:
    run(capsys, "compare", "alexnet", "vgg16").must_refuse("one network")


def test_an_unknown_network_names_the_nearest(capsys: Capture) -> None:
    run(capsys, "compare", "alexnt", "--mac", "int8").must_refuse("alexnt", "did you mean 'alexnet'")


def test_variants_that_all_fail(capsys: Capture) -> None:
    run(capsys, "compare", "alexnet", "--arch", "int8_32x33").must_refuse("did you mean 'int8_32x32'")


def test_one_variant_that_fails_loses_no_other(capsys: Capture) -> None:
    outcome = run(capsys, "compare", "alexnet", "--mac", "int8", "--mac", "int99", "--json")
    assert outcome.exit_code == 1
    document = json.loads(outcome.stdout)
    assert [variant["mac"] for variant in document["variants"]] == ["int8"]
    assert list(document["failures"]) == ["int8_32x32 · int99"]
    assert "int99" in outcome.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("networks: [alexnet]\ngird: {array.rows: [8]}\n", ["gird", "did you mean 'grid'"]),
        ("networks: []\n", ["networks"]),
        ("grid: {array.rows: [8]}\n", ["networks", "missing"]),
        ("networks: [alexnet]\ngrid: {array.rows: []}\n", ["array.rows has no values"]),
        ("networks: [alexnet]\nbatches: [0]\n", ["batches must be positive"]),
        ("networks: [alexnet]\nnetworks: [vgg16]\n", ["given twice", "networks"]),
        ("networks: [alexnet\n", ["not valid YAML"]),
    ],
)
def test_a_specification_that_cannot_be(tmp_path: Path, capsys: Capture, text: str, told: list[str]) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(text)
    run(capsys, "sweep", file).must_refuse(str(file), *told)
    assert not (tmp_path / "spec.store").exists()


def test_an_unknown_objective(tmp_path: Path, capsys: Capture) -> None:
    told = ("--objective", "did you mean 'energy_pj'")
    run(capsys, "sweep", _spec(tmp_path), "--objective", "energy").must_refuse(*told)


def test_a_store_that_is_somebody_s_folder(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    run(capsys, "sweep", _spec(tmp_path), "--store", tmp_path).must_refuse("other files", "new or empty")


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("{", "corrupted"),
        ("[]", "corrupted"),
        ('{"format": "something else"}', "corrupted"),
        ('{"format": "systolic sweep store", "version": 9}', "another version"),
    ],
)
def test_a_store_whose_mark_is_wrong(tmp_path: Path, capsys: Capture, marker: str, told: str) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "store.json").write_text(marker)
    run(capsys, "sweep", _spec(tmp_path), "--store", store).must_refuse("store.json", told)


def test_a_store_with_a_torn_point_names_the_file_to_delete(tmp_path: Path, capsys: Capture) -> None:
    spec, store = _spec(tmp_path), tmp_path / "store"
    run(capsys, "sweep", spec, "--store", store, "--jobs", "1", "-q").must_succeed()
    (point,) = (store / "points").iterdir()
    whole = point.read_bytes()
    point.write_bytes(whole[: len(whole) // 2])
    run(capsys, "sweep", spec, "--store", store).must_refuse(point.name, "corrupted", "delete this file")
    point.unlink()
    run(capsys, "sweep", spec, "--store", store, "--jobs", "1", "-q").must_succeed()
    assert point.read_bytes() == whole


def test_a_store_that_is_a_file(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "store").write_text("")
    run(capsys, "sweep", _spec(tmp_path), "--store", tmp_path / "store").must_refuse("store")
    SweepStore(tmp_path / "other").close()


def test_a_scheduler_that_does_not_answer(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("simulator.sweep.executors._CONNECT_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    told = ("no Dask scheduler answers", address)
    run(capsys, "sweep", _spec(tmp_path), "--store", tmp_path / "s", "--dask", address).must_refuse(*told)
