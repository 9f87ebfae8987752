"""Cases of trained networks and of what they run on: graphs, sizes, preprocessing, folders of images, labels."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from simulator.arch import load_arch
from simulator.inference import load_data, load_images, load_model, plan_network, run_plan
from simulator.measured_runs import Tensors, measure_on_images
from simulator.simulation import finish
from simulator.workload import load_network
from simulator.workload.onnx.sizes import parse_sizes
from tests.hostile.fuzzing import mutations
from tests.hostile.fuzzing.laws import require_laws
from tests.hostile.fuzzing.models import changed_model
from tests.hostile.fuzzing.samples import Samples

_MACS: Final = ("int8", "int4 x int8", "e4m3 x e4m3", "elma8", "fix8.4", "bf16", "posit8.1 x posit8.1")
_POLICIES: Final = (None, None, None, "drop_in", "max", "percentile", "mse", "max+bias_correction")


def _infer(draw: random.Random, made: Samples, folder: Path) -> None:
    """A changed graph on images: as many outcomes as images, shares between 0 and 1."""
    path, name = folder / "m.onnx", draw.choice(list(made.models))
    path.write_bytes(changed_model(made.models[name], draw))
    model = load_model(path)
    data = load_images(made.images_file)
    result = run_plan(model, data, plan_network(model, data, draw.choice(_MACS), draw.choice(_POLICIES)))
    accuracy = result.accuracy
    assert accuracy.images == 3
    shares = (accuracy.top1, accuracy.top5, accuracy.top1_float32, accuracy.agreement_with_float32)
    assert all(share is None or 0 <= share <= 1 for share in shares), shares
    assert result.logits.shape == result.float32_logits.shape


def _measured(draw: random.Random, made: Samples, folder: Path) -> None:
    """A changed graph priced with the toggles that images make."""
    path, name = folder / "m.onnx", draw.choice(list(made.models))
    path.write_bytes(changed_model(made.models[name], draw))
    arch = load_arch("int8_32x32", {"array.rows": 4, "array.columns": 4})
    batch = draw.choice((None, 1, 2, 3, 4))
    ready = measure_on_images(arch, str(path), Tensors(str(made.images_file)), batch=batch)
    require_laws(finish(ready))


_SIZES: Final = (
    "1",
    "1",
    "6",
    "6",
    "3",
    "0",
    "-1",
    "9" * 5000,
    str(10**9),
    str(2**63),
    "x",
    "",
    "1.5",
    "²",
    "٣",
    " 6 ",
)


def _sizes(draw: random.Random, made: Samples, folder: Path) -> None:
    """Strings of --input-shape, --dim and --batch-axis."""
    path = folder / "m.onnx"
    path.write_bytes(made.models[draw.choice(list(made.models))])

    def number() -> str:
        return draw.choice(_SIZES)

    shapes = [f"x={','.join(number() for _ in range(draw.choice((4, 4, 4, 1, 0, 40))))}"]
    dims = [f"{draw.choice(('N', 'N', 'x', '', 'a=b'))}={number()}"]
    chosen = (
        [mutations.changed_text(shapes[0], draw)] if draw.random() < 0.3 else shapes,
        dims,
        draw.choice((None, "none", "auto", "0", "1", "99", "-1", "9" * 5000, "²", "x")),
    )
    options = [each if draw.random() < 0.6 else None for each in chosen]
    sizes = parse_sizes(*options)  # type: ignore[arg-type]
    if draw.random() < 0.5:
        load_network(path, sizes=sizes, batch=draw.choice((None, 2, 10**12)))
        return
    model = load_model(path, sizes=sizes)
    data = load_images(made.images_file)
    run_plan(model, data, plan_network(model, data, "int8", None))


_PRESETS: Final = ("imagenet", "unit", "none", "")
_NUMBERS: Final = ("1/255", "0.5", "1", "0", "-1", "1e-300", "1e300", "1e999", "nan", "1/0", "9" * 400 + "/1",
                   "9" * 5000, "1e-45", "", "x", "0.5,0.5,0.5", "1,2", "1e9/3", "1_0", "3e38")  # fmt: skip
_SIDES: Final = ("6", "28", "6x6", "1x99999", "99999x99999", "99999", "0", "-1", "6x6x6", "1e3", "7x5", "")
_WORDS: Final = ("rgb", "bgr", "nchw", "nhwc", "bilinear", "nearest", "bicubic", "lanczos", "RGB", "x", "")
_KEYS: Final = (
    "scale",
    "mean",
    "std",
    "resize",
    "crop",
    "crop_fraction",
    "channels",
    "layout",
    "interpolation",
    "x",
)


def preprocess_text(draw: random.Random) -> str:
    """What `--preprocess` may be given, now and then nonsense."""
    parts = [draw.choice(_PRESETS)] if draw.random() < 0.4 else []
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        key = draw.choice(_KEYS)
        fitting = _SIDES if key in ("resize", "crop") else _WORDS if key in _KEYS[6:9] else _NUMBERS
        parts.append(f"{key}={draw.choice(fitting if draw.random() < 0.8 else _NUMBERS)}")
    text = ",".join(parts)
    return mutations.changed_text(text, draw) if draw.random() < 0.1 else text


def _preprocess(draw: random.Random, made: Samples, folder: Path) -> None:
    """Pixels of a picture as the network takes them: finite or refused."""
    images = folder / "images"
    images.mkdir()
    for number, name in enumerate(draw.sample(sorted(made.pictures), 2)):
        (images / f"{number}_{name}").write_bytes(made.pictures[name])
    model = load_model(made.model_file)
    data = load_data(images, model, preprocess=preprocess_text(draw))
    assert np.isfinite(np.asarray(data.images[:2])).all()


_FILES: Final = ("0.png", "1_2.png", "3-a.jpeg", "cat/1.png", "cat/2.png", "dog/x.png", "0/a.png", "1/b.png",
                 "99999999999999999999/a.png", "99999999999999999999.png", "٣.png", ".hidden.png", "a.txt", "b.PNG",
                 "labels.csv/x.png", "=1+1.png", "é.webp", "1/2/3.gif", "n" * 200 + ".png", "\u202e.png", "4.ppm",
                 "5.tiff", "²_a.png")  # fmt: skip
_LABELS: Final = ("file,class\n0.png,1\n1_2.png,0\n3-a.jpeg,2\n", "0.png 0\n1_2.png 1\n", "file;label\ncat/1.png;0\n",
                  "0.png,99999999999999999999\n", "0.png," + "9" * 5000 + "\n", "../0.png,1\n", "/etc/passwd,1\n",
                  "file,class\n", ",\n", "\n", "0.png,-1\n", "0.png,1\n0.png,2\n", "file,class\n0,1\n")  # fmt: skip


def _folder(draw: random.Random, made: Samples, folder: Path) -> None:
    """A folder of pictures under odd names, some of them damaged, with tables of labels."""
    images, pictures = folder / "images", sorted(made.pictures.items())
    images.mkdir()
    for name in draw.sample(_FILES, draw.choice((1, 2, 3, 3, 5))):
        path = images / name
        if path.parent.is_file() or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        content = draw.choice(pictures)[1]
        path.write_bytes(mutations.changed_bytes(content, draw) if draw.random() < 0.15 else content)
    table = draw.choice(("labels.csv", "labels.txt", "val.txt", "other.csv"))
    text = draw.choice(_LABELS)
    if draw.random() < 0.5 and not (images / table).exists():
        text = mutations.changed_text(text, draw) if draw.random() < 0.5 else text
        (images / table).write_bytes(mutations.encoded(text, draw))
    rule = draw.choice((None, None, "none", "names", "folders", str(images / table), "absent.csv", "x"))
    source = images if draw.random() < 0.8 else images / table
    model = load_model(made.model_file)
    data = load_data(source, model, labels=rule, preprocess=draw.choice((None, "unit", "imagenet")))
    result = run_plan(model, data, plan_network(model, data, "int8", None))
    assert result.accuracy.images == len(data.images)
    assert data.labels is None or len(data.labels) == len(data.images)


IMAGE_KINDS: Final[Mapping[str, Callable[[random.Random, Samples, Path], None]]] = {
    "ONNX through infer": _infer,
    "ONNX with measured toggles": _measured,
    "sizes of an ONNX model": _sizes,
    "--preprocess": _preprocess,
    "folder of images": _folder,
}
"""Kinds by name."""
