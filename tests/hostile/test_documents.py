"""YAML, JSON and CSV: what is read is what other readers read; everything else is one line with its place."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulator.foundation import UserError
from simulator.foundation.documents import load_yaml, parse_yaml, pretty_json
from simulator.foundation.messages import quoted
from simulator.foundation.reading.csv_rows import split_cells
from simulator.foundation.reading.json_documents import load_json, parse_json

ROOT = Path(__file__).resolve().parents[2]

plain_text = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufeff"))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | plain_text
documents = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(plain_text, inner), max_leaves=12
)

SCALARS = """yes No ON off true ~ null NULL 0 -0 +7 007 0b101 0x1F -0x1f 1_000 1:30 -1:30:15 1.5 1. .5 -.5
1e5 1.0e+5 1.5e-3 1:30.5 .inf -.INF +.Inf y n Yes nUll 08 1_000.5 0. 12e03 0o17 <"""


@pytest.mark.parametrize("text", SCALARS.split())
def test_a_scalar_means_what_it_means_to_the_safe_loader(text: str) -> None:
    read = parse_yaml(f"a: {text}", source="text")["a"]
    expected = yaml.safe_load(f"a: {text}")["a"]
    assert (type(read), read) == (type(expected), expected)


@given(documents, st.booleans())
def test_yaml_is_read_as_the_safe_loader_reads_it(document: Any, in_flow: bool) -> None:
    text = yaml.safe_dump(document, default_flow_style=in_flow, allow_unicode=True)
    assert parse_yaml(text, source="text") == yaml.safe_load(text) == document


@pytest.mark.parametrize("path", sorted(ROOT.glob("[aew]*/*.yaml")), ids=lambda path: path.name)
def test_bundled_files_are_read_as_the_safe_loader_reads_them(path: Path) -> None:
    assert load_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_aliases_and_merges_are_read_as_the_safe_loader_reads_them() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 5}\nd: {x: 0, <<: *b}\ne: [*a, *a]\n"
    assert parse_yaml(text, source="text") == yaml.safe_load(text)
    assert parse_yaml(text, source="text")["c"] == {"x": 5, "y": 2, "z": 4}


def test_the_tag_that_means_text_is_read() -> None:
    """YAML 1.2, 6.28: the non-specific tag makes a scalar text, whatever it looks like."""
    assert parse_yaml("a: ! 12", source="text") == {"a": "12"}


def test_nan_is_read_and_a_date_stays_text() -> None:
    read = parse_yaml("a: .nan\nb: 2024-13-45\nc: 2024-01-02\nd: =", source="text")
    assert read["d"] == "="
    assert math.isnan(read["a"])
    assert (read["b"], read["c"]) == ("2024-13-45", "2024-01-02")


BOMB = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12))]
)

REFUSED_YAML = {
    "an unhashable key": ("? [a, b]\n: 1", "a key must be text"),
    "an unhashable key in flow": ("{{a: 1}: 2}", "a key must be text"),
    "an alias as such a key": ("a: &a [1]\n*a : 2", "a key must be text"),
    "a Python object": ("a: !!python/object/apply:os.getcwd []", "a tag that no value has"),
    "a tag of one's own": ("a: !secret 5", "a tag that no value has"),
    "a binary": ("a: !!binary aGVsbG8=", "a tag that no value has"),
    "a set": ("a: !!set {b, c}", "a tag that no value has"),
    "a wrong tag": ("a: !!int five", "is no int"),
    "ten thousand digits": ("a: " + "9" * 10_000, "more than 300 digits"),
    "digits without a digit": ("a: 0b_", "is no number"),
    "100,000 brackets": ("[" * 100_000, "nested deeper than 64 levels"),
    "100,000 braces": ("{a: " * 100_000, "nested deeper than 64 levels"),
    "100,000 dashes": ("- " * 100_000, "nested deeper than 64 levels"),
    "an alias bomb": (BOMB, "stand for more than 100,000 values"),
    "an alias to itself": ("a: &a [*a]", "refers to what it stands in"),
    "an alias to nothing": ("a: *b", "refers to nothing"),
    "two documents": ("a: 1\n---\nb: 2", "more than one document"),
    "a key twice": ("a: 1\n'a': 2", "key is given twice (got 'a')"),
    "a merge twice": ("a: &a {x: 1}\nb: {<<: *a, <<: *a}", "key is given twice (got '<<')"),
    "a merge of text": ("a: {<<: 5}", "<< merges mappings"),
    "a long key": ("k" * 1001 + ": 1", ""),
    "a long key that is marked as one": ("? " + "k" * 1001 + "\n: 1", "a key is too long"),
    "a long text": (f"a: {'b' * 100_001}", "a text is too long"),
    "an escape": ('a: "\\e[31m"', "control character"),
    "a zero": ("a: \0", "control character"),
    "half a surrogate pair": ("a: \udc80", "control character"),
    "half of one, escaped": ('a: "\\ud800"', ""),
    "a tab for a space": ("a:\n\t- b", "is not valid YAML"),
    "an unclosed bracket": ("a: [", "is not valid YAML"),
}


@pytest.mark.parametrize("name", REFUSED_YAML)
def test_yaml_that_is_no_plain_data_is_one_line(name: str) -> None:
    text, part = REFUSED_YAML[name]
    began = time.process_time()
    with pytest.raises(UserError) as caught:
        parse_yaml(text, source="file.yaml")
    message = str(caught.value)
    assert message.startswith("file.yaml: ")
    assert part in message
    assert len(message) < 400
    assert message.isprintable()
    assert time.process_time() - began < 2


@given(documents)
def test_json_is_read_as_the_standard_library_reads_it(document: Any) -> None:
    text = json.dumps(document)
    assume("Infinity" not in text)
    assert parse_json(text, source="text") == document


REFUSED_JSON = {
    "nothing": ("", "is not JSON, or is truncated"),
    "half of it": ('{"a": [1, 2', "line 1: is not JSON"),
    "NaN": ('{"a": NaN}', "holds NaN"),
    "Infinity": ('{"a": -Infinity}', "holds -Infinity"),
    "a float out of range": ('{"a": 1e999}', "beyond the range of floats (1e999)"),
    "a float of many digits": (f'{{"a": {"9" * 400}.5}}', "beyond the range of floats"),
    "ten thousand digits": (f'{{"a": {"9" * 10_000}}}', "more than 300 digits"),
    "301 digits": (f'{{"a": -{"9" * 301}}}', "more than 300 digits"),
    "a key twice": ('{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' is given twice"),
    "a long key": (f'{{"{"k" * 1001}": 1}}', "more than 1000 letters"),
    "100,000 brackets": ("[" * 100_000, "nested deeper than 64 levels"),
    "66 brackets": ("[" * 66 + "]" * 66, "nested deeper than 64 levels"),
    "66 objects": ('{"a":' * 66 + "0" + "}" * 66, "nested deeper than 64 levels"),
    "an escape": ('{"a": "\\u001b[31m"}', "control character"),
    "an escape in a key": ('{"\\u001b[31m": 1}', "control character"),
    "a raw escape": ('{"a": "\x1b"}', "is not JSON"),
    "half a surrogate pair": ('{"a": ["\\ud800"]}', "control character"),
}


@pytest.mark.parametrize("name", REFUSED_JSON)
def test_json_that_is_no_plain_data_is_one_line(name: str) -> None:
    text, part = REFUSED_JSON[name]
    with pytest.raises(UserError) as caught:
        parse_json(text, source="file.json")
    message = str(caught.value)
    assert message.startswith("file.json: ")
    assert part in message
    assert len(message) < 400
    assert message.isprintable()


def test_json_of_64_levels_and_300_digits_is_read() -> None:
    assert parse_json("[" * 64 + "]" * 64, source="text") is not None
    assert parse_json(f'[{"9" * 300}, "\\ud83d\\ude00", "\\r\\n"]', source="text") == [
        10**300 - 1,
        "😀",
        "\r\n",
    ]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("a" * 100_001, "a line is too long"),
        ("," * 10_001, "too many cells"),
        ('a, "b', "not closed"),
        ("a\0b", "control character"),
        ("a\x1b[31m", "control character"),
    ],
)
def test_a_line_of_csv_has_limits(line: str, part: str) -> None:
    with pytest.raises(UserError, match=part) as caught:
        split_cells(line, separator=",", source="t.csv", location="line 3")
    assert str(caught.value).startswith("t.csv: line 3: ")


@pytest.mark.parametrize("load", [load_yaml, load_json])
def test_what_is_no_regular_file_of_text_is_one_line(load: Callable[[Path], Any], tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"a: 1\nb: \xe9")
    for name, part in (
        ("pipe", "no regular file"),
        ("latin", "line 2: is not UTF-8"),
        ("absent", "No such file"),
        ("n" * 300, "File name too long"),
        ("", "Is a directory"),
        ("a\0b", "zero character"),
        ("a\udc80", "UTF-8"),
    ):
        with pytest.raises(UserError, match=part):
            load(tmp_path / name)
    with pytest.raises(UserError, match="no regular file"):
        load(Path("/dev/zero"))


@given(
    st.recursive(
        scalars, lambda inner: st.lists(inner) | st.dictionaries(plain_text, inner) | st.tuples(inner)
    )
)
@settings(max_examples=200)
def test_a_value_is_quoted_as_python_writes_it(value: object) -> None:
    text = quoted(value)
    assert len(text) <= 120
    assert text.isprintable()
    if len(repr(value)) <= 120 and repr(value).isprintable():
        assert text == repr(value)


def test_quoting_looks_at_no_more_than_it_shows() -> None:
    bomb: list[Any] = ["x"] * 10
    for _ in range(12):
        bomb = [bomb] * 10  # 10**13 values
    began = time.process_time()
    assert quoted(bomb).endswith("...")
    assert quoted({"a": bomb}).startswith("{'a': [[[[")
    assert quoted(10**100_000) == "a whole number of 332193 bits"
    assert quoted("x" * 10**7).startswith("'xxx")
    assert time.process_time() - began < 1


def test_a_message_is_one_printable_line_of_limited_length() -> None:
    error = UserError(
        "two\nlines", source="\x1b[2Jfile", location="x" * 10_000, value="\u202eabc", allowed="\r"
    )
    assert str(error).isprintable()
    assert r"\x1b[2Jfile: xxx" in str(error)
    assert r"two\nlines" in str(error)
    assert len(str(error)) < 1000


def test_pretty_json_is_read_back() -> None:
    document = {"a": [1, {"b": None}], "c": "ü"}
    assert parse_json(pretty_json(document), source="text") == document
