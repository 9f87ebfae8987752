"""Tilings that an earlier process found: the same result without a search, and a search whenever in doubt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.foundation.kept_documents import MOST_DOCUMENTS, cache_folder, keep_document, kept_document
from simulator.system import simulate_network, tiling
from simulator.system.kept_tilings import KeptTilings
from simulator.workload.layer import Convolution, Network, convolution_layer, matrix_layer

NETWORK = Network(
    "three",
    (
        matrix_layer("a", "fc", m=70, n=40, k=50),
        convolution_layer("b", Convolution(1, 5, 9, (12, 12), (3, 3), padding=(1, 1, 1, 1))),
        matrix_layer("c", "fc", m=70, n=40, k=50),
    ),
)


@pytest.fixture
def searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The layers that are searched for, with a cache of the test's own."""
    monkeypatch.setenv("SYSTOLIC_CACHE_DIR", str(tmp_path))
    names: list[str] = []
    choose = tiling.choose_tiling

    def choose_and_note(name: str, *arguments: object, **settings: object) -> object:
        names.append(name)
        return choose(name, *arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(tiling, "choose_tiling", choose_and_note)
    return names


def run(arch: ArchConfig, network: Network = NETWORK) -> list[tuple[object, ...]]:
    """Everything that the machine says of every layer."""
    played = simulate_network(arch, network, kept=KeptTilings.of(arch, network)).layers
    return [
        (layer.counts, layer.folds, layer.start_cycle, layer.tiling.summary(), layer.tiling.totals.tolist())
        for layer in played
    ]


def test_a_second_run_is_the_same_and_searches_nothing(searches: list[str]) -> None:
    arch = load_arch("int8_32x32")
    first = run(arch)
    assert set(searches) == {"a", "b"}
    searches.clear()
    assert run(arch) == first
    assert searches == []
    plain = simulate_network(arch, NETWORK).layers
    assert [layer.counts for layer in plain] == [entry[0] for entry in first]


@pytest.mark.parametrize(
    "overrides",
    [
        {"array.rows": 31},
        {"sram.ifmap.capacity_kib": 3},
        {"array.mac": "elma8"},
        {"tiling.objective": "traffic"},
        {"dram.latency_ns": 101},
        {"array.dataflow": "ws"},
    ],
    ids=str,
)
def test_another_architecture_is_searched_for(searches: list[str], overrides: dict[str, object]) -> None:
    run(load_arch("int8_32x32"))
    searches.clear()
    arch = load_arch("int8_32x32", overrides)
    found = run(arch)
    assert set(searches) == {"a", "b"}
    assert [entry[0] for entry in found] == [layer.counts for layer in simulate_network(arch, NETWORK).layers]


def test_a_changed_layer_is_searched_for_alone(searches: list[str]) -> None:
    arch = load_arch("int8_32x32")
    run(arch)
    searches.clear()
    layers = (*NETWORK.layers[:2], matrix_layer("c", "fc", m=71, n=40, k=50))
    changed = Network("three", layers)
    found = run(arch, changed)
    assert set(searches) == {"c"}
    assert [entry[0] for entry in found] == [layer.counts for layer in simulate_network(arch, changed).layers]


def test_networks_with_other_batches_do_not_take_each_others_place(searches: list[str]) -> None:
    arch = load_arch("int8_32x32")
    layers = (matrix_layer(name, "fc", m=140, n=40, k=50) for name in "ac")
    twice = Network("three", (next(layers), NETWORK.layers[1], next(layers)), batch=2)
    run(arch)
    run(arch, twice)
    searches.clear()
    run(arch)
    run(arch, twice)
    assert searches == []


def cut_off(text: str) -> str:
    return text[: len(text) // 2]


def with_other_numbers(text: str) -> str:
    assert text.count('"slots": [2, ') > 1
    return text.replace('"slots": [2, ', '"slots": [1, ', 1)


def with_exchanged_entries(text: str) -> str:
    whole = json.loads(text)
    entries = whole["document"]
    first, second = entries
    entries[first], entries[second] = entries[second], entries[first]
    return json.dumps(whole)


@pytest.mark.parametrize(
    "spoil",
    [
        cut_off,
        with_other_numbers,
        with_exchanged_entries,
        lambda _: "",
        lambda _: "[]",
        lambda _: "{}",
        lambda _: "\x00",
    ],
)
def test_a_spoilt_document_is_searched_for_and_replaced(
    searches: list[str], tmp_path: Path, spoil: Callable[[str], str]
) -> None:
    arch = load_arch("int8_32x32")
    first = run(arch)
    (path,) = (tmp_path / "tilings").iterdir()
    whole = path.read_text()
    path.write_text(spoil(whole))
    searches.clear()
    assert run(arch) == first
    assert set(searches) == {"a", "b"}
    assert path.read_text() == whole


def test_a_document_under_another_name_counts_as_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SYSTOLIC_CACHE_DIR", str(tmp_path))
    keep_document("some", "a", {"a": 1})
    (tmp_path / "some" / "a.json").rename(tmp_path / "some" / "b.json")
    assert kept_document("some", "b") is None


def without_a_total(entry: dict[str, list[object]]) -> None:
    entry["totals"].pop()


def with_a_text_for_a_number(entry: dict[str, list[object]]) -> None:
    entry["blocking"][0] = "1"


def with_truth_for_a_number(entry: dict[str, list[object]]) -> None:
    entry["slots"][0] = True


@pytest.mark.parametrize("change", [without_a_total, with_a_text_for_a_number, with_truth_for_a_number])
def test_an_entry_that_is_no_tiling_is_searched_for(
    searches: list[str], tmp_path: Path, change: Callable[[dict[str, list[object]]], None]
) -> None:
    arch = load_arch("int8_32x32")
    first = run(arch)
    (path,) = (tmp_path / "tilings").iterdir()
    document = kept_document("tilings", path.stem)
    assert isinstance(document, dict)
    for entry in document.values():
        change(entry)
    keep_document("tilings", path.stem, document)
    searches.clear()
    assert run(arch) == first
    assert set(searches) == {"a", "b"}


def test_a_folder_that_cannot_be_written_keeps_nothing(searches: list[str], tmp_path: Path) -> None:
    (tmp_path / "tilings").write_text("in the way")
    arch = load_arch("int8_32x32")
    assert run(arch) == run(arch)
    assert sorted(searches) == ["a", "a", "b", "b"]


def test_an_empty_variable_keeps_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYSTOLIC_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() is None
    keep_document("tilings", "a", {"a": 1})
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv("SYSTOLIC_CACHE_DIR")
    assert cache_folder() == tmp_path / "systolic"
    keep_document("tilings", "a", {"a": 1})
    assert kept_document("tilings", "a") == {"a": 1}
    assert kept_document("tilings", "b") is None


def test_only_so_many_documents_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYSTOLIC_CACHE_DIR", str(tmp_path))
    for number in range(MOST_DOCUMENTS + 3):
        keep_document("some", f"{number:03d}", {"number": number})
    assert len(list((tmp_path / "some").iterdir())) == MOST_DOCUMENTS
    assert kept_document("some", f"{MOST_DOCUMENTS + 2:03d}") == {"number": MOST_DOCUMENTS + 2}
