"""Files appear whole or not at all, whatever stands at their path; what cannot be written is one line."""

from __future__ import annotations

import csv
import io
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.foundation import UserError
from simulator.foundation.csv_text import csv_text
from simulator.foundation.files import (
    safe_name,
    whole_file,
    whole_text_file,
    write_array,
    write_bytes,
    write_text,
)
from simulator.foundation.reading.arrays import read_npy
from simulator.foundation.staged_outputs import staged_folder

ROOT = Path(__file__).resolve().parents[2]
is_root = os.geteuid() == 0


def device(folder: Path, number: int) -> Path:
    """A device of its own, so that a failing test replaces nothing of the machine: 3 is null, 7 is full."""
    path = folder / f"device{number}"
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, number))
    return path


@pytest.mark.skipif(not is_root, reason="only root makes devices")
def test_a_device_is_written_through_and_never_replaced(tmp_path: Path) -> None:
    null, full = device(tmp_path, 3), device(tmp_path, 7)
    write_text(null, "x" * 1000)
    with pytest.raises(UserError, match="No space left on device"):
        write_text(full, "x" * 1000)
    assert stat.S_ISCHR(null.stat().st_mode)
    assert stat.S_ISCHR(full.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device3", "device7"]


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_bytes(pipe, b"x" * 100_000)
    reader.join(10)
    assert read == [b"x" * 100_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_a_killed_process_left_of_its_folder_is_removed(tmp_path: Path) -> None:
    """A folder of a process that is alive stays, as does one of another machine."""
    script = (
        "from pathlib import Path; from simulator.foundation.staged_outputs import staged_folder; import os\n"
    )
    script += "with staged_folder(Path('out')) as staged: (staged.folder / 'f').write_text('x'); os._exit(9)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=False)
    (left,) = (tmp_path / "out").iterdir()
    assert left.name.endswith(".part")
    number, _, rest = left.name[1:].partition("-")
    others = {f".{os.getppid()}-{rest}", f".{number}-01234567.part", ".mine.part", "notes.part"}
    for name in others:
        (tmp_path / "out" / name).mkdir()
    with staged_folder(tmp_path / "out") as staged:
        (staged.folder / "g").write_text("y")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*others, "g"}


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/file")
    for text in ("first", "second"):
        write_text(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real" / "file").read_text() == text
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["file"]
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(UserError, match="cannot be written"):
        write_text(tmp_path / "circle", "text")


def test_mode_and_owner_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o640)
    if is_root:
        os.chown(path, 12345, 23456)
    write_text(path, "after")
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert (status.st_uid, status.st_gid) == ((12345, 23456) if is_root else (os.geteuid(), os.getegid()))


def test_what_no_file_can_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, part in (
        (tmp_path, "is a folder"),
        (Path(), "is a folder"),
        (Path("/"), "is a folder"),
        (tmp_path / "absent" / "file", "No such file"),
        (tmp_path / "file" / "file", "Not a directory"),
        (tmp_path / ("n" * 300), "File name too long"),
        (tmp_path / ("a/" * 3000), "File name too long"),
        (tmp_path / "a\0b", "zero character"),
        (tmp_path / "\udcff", "UTF-8"),
        (Path("/proc/absent"), "cannot be written"),
    ):
        with pytest.raises(UserError, match=part) as caught:
            write_text(path, "text")
        assert str(caught.value).isprintable()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_of_any_length_can_be_written(tmp_path: Path) -> None:
    for name in ("n" * 255, "ü" * 127):
        write_text(tmp_path / name, "text")
        assert (tmp_path / name).read_text() == "text"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(is_root, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Permission denied"):
        write_text(tmp_path / "file", "text")


LIMITED = """
import resource, signal, sys
from pathlib import Path
from simulator.foundation import UserError
from simulator.foundation.files import write_text
from simulator.foundation.staged_outputs import staged_folder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
folder = Path(sys.argv[1])
try:
    write_text(folder / "result.json", "x" * 200_000)
except UserError as error:
    print(error)
try:
    with staged_folder(folder) as staged:
        write_text(staged.folder / "a.csv", "new")
        write_text(staged.folder / "result.json", "x" * 200_000)
except UserError as error:
    print(error)
"""


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full in the middle of a write."""
    (tmp_path / "result.json").write_text("before")
    (tmp_path / "a.csv").write_text("before")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.count("cannot be written: File too large") == 2
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "result.json": "before",
        "a.csv": "before",
    }


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from simulator.foundation import UserError
from simulator.foundation.files import write_array, write_arrays
from simulator.foundation.staged_outputs import staged_folder
from simulator.inference import kept
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
kept.MEMORY_BYTES = 0
numbers, folder = np.arange(50_000.0), Path(sys.argv[1])

def staged():
    with staged_folder(folder) as staged:
        write_array(staged.folder / "a.npy", numbers)

for write in (
    lambda: write_array(folder / "a.npy", numbers),
    lambda: write_array(folder / "b.npy", np.asfortranarray(numbers.reshape(500, 100))),
    lambda: write_arrays(folder / "c.npz", {"x": numbers}),
    staged,
    lambda: kept.KeptTensors().add("x", numbers),
):
    try:
        write()
    except UserError as error:
        print(error)
"""


def test_a_full_disk_under_arrays_is_named_as_such(tmp_path: Path) -> None:
    """NumPy itself says how many items it wrote, and not why."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    *arrays, kept = done.stdout.splitlines()
    assert arrays == [
        f"{tmp_path / name}: cannot be written: File too large"
        for name in ("a.npy", "b.npy", "c.npz", "a.npy")
    ]
    assert kept.startswith(tempfile.gettempdir())
    assert kept.endswith(".bin: cannot be written: File too large")
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_written_as_numpy_does(tmp_path: Path) -> None:
    for number, array in enumerate(
        [
            np.arange(6.0).reshape(2, 3),
            np.asfortranarray(np.arange(6).reshape(2, 3)),
            np.float32(2.5),
            np.zeros(0),
        ]
    ):
        write_array(tmp_path / f"{number}.npy", np.asarray(array))
        np.save(tmp_path / "by_numpy.npy", np.asarray(array))
        assert (tmp_path / f"{number}.npy").read_bytes() == (tmp_path / "by_numpy.npy").read_bytes()


def test_what_cannot_be_written_into_a_staged_folder_is_named_as_it_was_given(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name, problem in (("r" * 300, "File name too long"), ("deep/er", "No such file")):
        with pytest.raises(UserError) as caught, staged_folder(out) as staged:
            write_text(staged.folder / name, "text")
        assert str(caught.value).startswith(f"{out / name}: cannot be written: {problem}"[:300])
        assert caught.value.source == out / name
    with pytest.raises(UserError) as caught, staged_folder(out) as staged:
        raise UserError("is odd", source=staged.folder / "a.npy", location="x", value=3, allowed="2")
    assert str(caught.value) == f"{out / 'a.npy'}: x: is odd (got 3); allowed: 2"
    with pytest.raises(UserError) as caught, staged_folder(out) as staged:
        raise UserError("is odd", source=tmp_path / "elsewhere")
    assert str(caught.value) == f"{tmp_path / 'elsewhere'}: is odd"


def fail(error: BaseException, write: Callable[[], object]) -> None:
    write()
    raise error


def write_all(folder: Path, *names: str) -> None:
    for name in names:
        write_text(folder / name, "after")


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    for error in (RuntimeError(), KeyboardInterrupt()):
        with pytest.raises(type(error)), whole_text_file(path) as stream:
            fail(error, lambda: stream.write("half"))
        with pytest.raises(type(error)), whole_file(path) as temporary:
            fail(error, lambda: temporary.write_text("half"))
    assert path.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_staged_folder_takes_its_place_whole_and_says_what_it_overwrote(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with staged_folder(out) as staged:
        write_text(staged.folder / "result.json", "1")
        (staged.folder / "outputs").mkdir()
        write_array(staged.folder / "outputs" / "conv.npy", np.arange(3))
    assert staged.overwritten == []
    (out / "mine.txt").write_text("stays")
    with staged_folder(out) as staged:
        write_text(staged.folder / "result.json", "2")
        write_text(staged.folder / "layers.csv", "2")
    assert staged.overwritten == [out / "result.json"]
    assert sorted(path.name for path in out.iterdir()) == ["layers.csv", "mine.txt", "outputs", "result.json"]
    assert (out / "result.json").read_text() == "2"
    np.testing.assert_array_equal(read_npy(out / "outputs" / "conv.npy"), np.arange(3))


def test_a_staged_folder_that_fails_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with pytest.raises(KeyboardInterrupt), staged_folder(out) as staged:
        fail(KeyboardInterrupt(), lambda: write_text(staged.folder / "result.json", "1"))
    assert list(tmp_path.iterdir()) == []  # folders made for it are gone
    out.mkdir(parents=True)
    (out / "a").write_text("before")
    (out / "b").mkdir()  # stands where a file should
    with pytest.raises(UserError, match="b: is a folder, not a file"), staged_folder(out) as staged:
        write_all(staged.folder, "a", "b")
    assert (out / "a").read_text() == "before"
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]


def test_a_move_that_fails_puts_back_what_was_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("before")
    replace = Path.replace

    def failing(self: Path, target: str | Path) -> Path:
        if Path(target) == tmp_path / "b":
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(UserError, match="Input/output error"), staged_folder(tmp_path) as staged:
        write_all(staged.folder, "a", "b")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "before"}


def test_whole_numbers_beyond_64_bits_are_written_without_pickle(tmp_path: Path) -> None:
    numbers = [2**100, -(2**70), 0]
    write_array(tmp_path / "a.npy", np.array(numbers, dtype=object))
    assert [int(text) for text in np.load(tmp_path / "a.npy", allow_pickle=False)] == numbers


@given(st.text())
def test_any_name_becomes_one_of_a_file(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(os.fsencode(safe)) <= 100
    assert "/" not in safe
    assert "\0" not in safe
    assert safe not in (".", "..")


def test_long_names_stay_different() -> None:
    assert safe_name("layer" * 100 + "1") != safe_name("layer" * 100 + "2")
    assert safe_name("conv1/3x3") == "conv1_3x3"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(text: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_text(["name", text], [[text, -1.5], ["conv", None]]), newline="")))
    shown = "'" + text.replace("\r", "\n")
    assert rows[0] == ["name", shown]
    assert rows[1] == [shown, "-1.5"]
    assert rows[2] == ["conv", ""]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_that_nobody_reads_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening it waits without end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr("simulator.foundation.files.LONGEST_WAIT_FOR_READER_S", 0.2)
    with pytest.raises(UserError, match=r"pipe: cannot be written: nobody reads this pipe$"):
        write_text(pipe, "text")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_gets_the_whole_text_of_a_reader_that_comes_late_and_is_slow(tmp_path: Path) -> None:
    pipe, text = tmp_path / "pipe", "x" * 300_000
    os.mkfifo(pipe)
    got: list[str] = []

    def read() -> None:
        time.sleep(0.3)
        with pipe.open() as stream:
            time.sleep(0.3)
            got.append(stream.read())

    reader = threading.Thread(target=read)
    reader.start()
    write_text(pipe, text)
    reader.join()
    assert got == [text]
