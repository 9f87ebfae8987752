"""Documents: every mistake is one message that says where, what and what would be allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.arch import load_arch
from simulator.foundation import UserError, nearest_name
from simulator.foundation.documents import load_yaml, parse_yaml
from simulator.foundation.files import prepare_folder, whole_file, write_text


def error_of(document: str, tmp_path: Path) -> str:
    path = tmp_path / "arch.yaml"
    path.write_text(document)
    with pytest.raises(UserError) as caught:
        load_arch(str(path))
    return str(caught.value)


@pytest.mark.parametrize(
    ("document", "parts"),
    [
        ("array: {rows: 0}", ["array.rows", "got 0", "greater than or equal to 1"]),
        ("array: {rows: -32}", ["array.rows", "got -32"]),
        ("array: {rows: many}", ["array.rows", "got 'many'", "integer"]),
        ("array: {rows: yes}", ["array.rows", "must be a number, not true or false", "got True"]),
        ("dram: {latency_ns: off}", ["dram.latency_ns", "must be a number", "got False"]),
        ("layers: {conv1: {tiling: {tile_m: true}}}", ["layers.conv1.tiling.tile_m", "must be a number"]),
        (
            "sram: {one: {holds: [ifmap, filter], shares_kib: {ifmap: 4, filter: yes}}}",
            ["sram.one.shares_kib.filter", "must be a number", "got True"],
        ),
        (
            "array: {columns: 1, column_blocks: [{mac: int8, columns: 1, channels: {conv1: [0, yes]}}]}",
            ["array.column_blocks.0.channels.conv1.1", "must be a number"],
        ),
        ("array: {rwos: 4}", ["array.rwos", "unknown key", "did you mean 'rows'"]),
        ("arry: {rows: 4}", ["arry", "unknown key", "did you mean 'array'"]),
        ("array: {dataflow: sw}", ["array.dataflow", "'os', 'ws', 'is' or 'wst'", "got 'sw'"]),
        ("sram: {ifmap: {capacity_kb: 4}}", ["sram.ifmap.capacity_kb", "did you mean 'capacity_kib'"]),
        (
            "dram: {bandwidth_gbyte_per_s: 0}",
            ["dram.bandwidth_gbyte_per_s", "greater than or equal to 0.001", "got 0"],
        ),
        ("clock_mhz: -1", ["clock_mhz", "got -1"]),
        ("array:\n  rows: 4\n  rows: 5", ["line 3", "given twice", "'rows'"]),
        ("array: [", ["line 2", "not valid YAML"]),
        ("- a list", ["must be a mapping"]),
        ("", ["must be a mapping"]),
        ("array: {columns: 4, column_blocks: [{mac: int8, columns: 3}]}", ["array", "cover 3 of 4 columns"]),
    ],
)
def test_a_mistake_in_an_architecture_is_told_with_field_value_and_remedy(
    document: str, parts: list[str], tmp_path: Path
) -> None:
    message = error_of(document, tmp_path)
    assert message.startswith(str(tmp_path / "arch.yaml"))
    for part in parts:
        assert part in message
    assert "\n" not in message


def test_true_and_false_stay_where_they_belong(tmp_path: Path) -> None:
    path = tmp_path / "arch.yaml"
    path.write_text("array: {zero_gating: yes, skew_registers: no}\ntiling: {keep_ofmap_on_chip: on}")
    arch = load_arch(str(path))
    assert (arch.array.zero_gating, arch.array.skew_registers) == (True, False)
    assert arch.tiling.keep_ofmap_on_chip


def test_an_unknown_architecture_suggests_the_nearest_one() -> None:
    with pytest.raises(UserError, match=r"did you mean 'elma8_32x32'\?"):
        load_arch("elma8_32x23")


def test_a_missing_file_is_not_taken_for_a_name() -> None:
    with pytest.raises(UserError, match=r"no/such\.yaml: architecture file cannot be found"):
        load_arch("no/such.yaml")


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        load_yaml(path)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_yaml(tmp_path)


def test_yaml_knows_no_objects() -> None:
    with pytest.raises(UserError, match="not valid YAML"):
        parse_yaml("!!python/object/apply:os.getcwd []", source="text")


def test_overrides_are_checked_like_the_file() -> None:
    assert load_arch("int8_32x32", {"array.rows": 16}).array.rows == 16
    with pytest.raises(UserError, match=r"array\.rows.*got -1"):
        load_arch("int8_32x32", {"array.rows": -1})


@pytest.mark.parametrize(
    ("name", "expected"), [("resnet5", "resnet50"), ("RESNET50", "resnet50"), ("zzz", None)]
)
def test_nearest_name(name: str, expected: str | None) -> None:
    assert nearest_name(name, ["resnet50", "alexnet", "vgg16"]) == expected


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_text(path, "first")
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        _write_half_and_fail(temporary)
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def _write_half_and_fail(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError


def test_a_folder_that_cannot_be_made_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="output directory cannot be made"):
        prepare_folder(tmp_path / "file" / "out")
