"""Files have one way in and one way out: no module beside foundation's opens, decodes or writes one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SIMULATOR = Path(__file__).resolve().parents[2] / "simulator"

DECODERS = {
    "Image": {"open"},
    "csv": {"DictReader", "reader"},
    "json": {"load", "loads"},
    "np": {"fromfile", "genfromtxt", "load", "loadtxt", "memmap", "save", "savetxt", "savez"},
    "onnx": {"load", "load_external_data_for_model", "load_model", "load_model_from_string", "load_tensor"},
    "os": {"link", "mkdir", "makedirs", "open", "remove", "rename", "replace", "symlink", "unlink"},
    "pickle": {"load", "loads"},
    "shutil": {"copy", "copyfile", "copytree", "move", "rmtree"},
    "tomllib": {"load", "loads"},
    "yaml": {"compose", "full_load", "load", "load_all", "parse", "safe_load", "safe_load_all"},
    "zipfile": {"ZipFile"},
}
"""Functions that read or write files or decode what is in them, by the name of their module."""

OF_PATHS = {
    *("exists", "glob", "hardlink_to", "is_dir", "is_file", "iterdir", "mkdir", "open", "read_bytes"),
    *("read_text", "rename", "rglob", "rmdir", "stat", "symlink_to", "touch", "unlink", "write_bytes"),
    "write_text",
}
"""Methods of paths that look at or change a file system."""

OTHERWISE = {
    "foundation": "the one way",
    "numerics/engines/kernel_cache.py": "the cache of compiled kernels, which no user writes",
    "numerics/engines/turn.py": "the lock of that cache",
    "inference/kept.py": "parts of tensors in a temporary folder of its own",
    "inference/output_sink.py": "streams outputs into a staged folder, whose files appear together",
    "sweep/store.py": "opens the file of its locks, and nothing else (tested below)",
}


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id == "open":
            yield node.lineno, "open"
        elif isinstance(function, ast.Attribute):
            owner = function.value.id if isinstance(function.value, ast.Name) else None
            if owner in DECODERS:
                if function.attr in DECODERS[owner]:
                    yield node.lineno, f"{owner}.{function.attr}"
            elif function.attr in OF_PATHS:
                yield node.lineno, f".{function.attr}"
            elif function.attr == "replace" and len(node.args) == 1 and not node.keywords:
                yield node.lineno, ".replace"  # of a path; that of text takes two


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                if alias.name in DECODERS.get(node.module.partition(".")[0], ()):
                    yield node.lineno, f"{node.module}.{alias.name}"


def modules() -> list[Path]:
    return [
        path
        for path in sorted(SIMULATOR.rglob("*.py"))
        if not any(path.relative_to(SIMULATOR).as_posix().startswith(name) for name in OTHERWISE)
    ]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(SIMULATOR).as_posix())
def test_a_module_reads_and_writes_files_through_foundation(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [f"line {line}: {what}" for line, what in (*calls(tree), *imports(tree))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "open('a')",
        "path.open('rb')",
        "(folder / 'a').read_text()",
        "np.load(path)",
        "yaml.safe_load(text)",
        "json.loads(text)",
        "zipfile.ZipFile(path)",
        "temporary.replace(path)",
        "onnx.load(path)",
        "from json import loads",
        "from numpy import load\nfrom onnx import load_model",
    ],
)
def test_the_test_above_finds(source: str) -> None:
    tree = ast.parse(source)
    assert [*calls(tree), *imports(tree)]


def test_a_store_of_a_sweep_opens_only_its_locks() -> None:
    tree = ast.parse((SIMULATOR / "sweep" / "store.py").read_text(encoding="utf-8"))
    assert [what for _, what in (*calls(tree), *imports(tree))] == ["os.open"]


def test_text_and_result_methods_are_no_files() -> None:
    tree = ast.parse("text.replace('a', 'b')\nreplace(layer, name='a')\njson.dumps(a)\nnp.zeros(3)")
    assert [*calls(tree), *imports(tree)] == []
