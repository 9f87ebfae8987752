"""Do pixels become what preprocessing defines? Expected values by hand or from the definition in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simulator.foundation import UserError
from simulator.inference import get_preprocess
from simulator.inference.image_files import Frame, ImageFiles
from simulator.inference.preprocess import PRESETS, Preprocess, middle
from tests.image_data import antialiased, save_image


@pytest.mark.parametrize(
    ("text", "pixel", "expected"),
    [
        # (0 / 255 - 0.485) / 0.229, ... and (255 / 255 - 0.485) / 0.229, ...
        ("imagenet", 0, (-2.1179039301310043, -2.0357142857142856, -1.8044444444444445)),
        ("imagenet", 255, (2.2489082969432315, 2.428571428571429, 2.64)),
        ("unit", 51, (0.2, 0.2, 0.2)),
        ("none", 200, (200.0, 200.0, 200.0)),
        ("scale=1,mean=127,std=128", 255, (1.0, 1.0, 1.0)),
        ("scale=1/255,mean=0.5,0.25,0,std=0.5,0.25,0.125", 51, (-0.6, -0.2, 1.6)),
    ],
)
def test_values_of_a_pixel(text: str, pixel: int, expected: tuple[float, ...]) -> None:
    table = get_preprocess(text).table(3)
    assert table.shape == (3, 256)
    assert table.dtype == np.float32
    assert table[:, pixel].tolist() == pytest.approx(expected, rel=6e-8, abs=1e-8)


def test_floats_are_rounded_once() -> None:
    # In float32 steps 0.1 * 3 - 0.3 would leave 1.5e-8 / 3e-8; exactly it is that of the float32 input.
    value = np.float32(0.1)
    expected = np.float32((float(value) * 3 - 0.3) / 3e-8)
    got = get_preprocess("scale=3,mean=0.3,std=3e-8").normalized(np.full((1, 1), value), axis=1, channels=1)
    assert got[0, 0] == expected


@pytest.mark.parametrize("text", [*PRESETS, "scale=1/255,mean=0.1,0.2,0.3,resize=40x50,crop=32,channels=bgr"])
def test_what_is_remembered_gives_the_same_again(text: str) -> None:
    chosen = get_preprocess(text)
    assert get_preprocess(chosen.text) == chosen


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("imagenets", ("unknown preprocessing", "did you mean 'imagenet'?")),
        ("imagenet,men=1", ("unknown key", "did you mean 'mean'?")),
        ("scale=0", ("--preprocess scale", "'0'", "above 0")),
        ("std=1/0", ("--preprocess std", "'1/0'")),
        ("mean=a", ("--preprocess mean", "'a'", "a number")),
        ("mean=nan", ("--preprocess mean", "'nan'")),
        ("scale=1,2", ("--preprocess scale", "one value")),
        ("crop=0", ("--preprocess crop", "pixels")),
        ("crop_fraction=1.5", ("--preprocess crop_fraction", "at most 1")),
        ("channels=rbg", ("--preprocess channels", "bgr")),
        ("scale=1,scale=2", ("given twice", "'scale'")),
    ],
)
def test_what_cannot_be(text: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        get_preprocess(text)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size", "wanted", "expected"),
    [
        # torchvision.transforms.Resize(256): the other side is int(256 * long / short).
        ("imagenet", (480, 640), (224, 224), (256, 341)),
        ("imagenet", (500, 375), (224, 224), (341, 256)),
        ("imagenet", (224, 224), (224, 224), (256, 256)),
        ("imagenet", (400, 400), (299, 299), (341, 341)),  # floor(299 / 0.875)
        ("imagenet,resize=232", (480, 640), (224, 224), (232, 309)),
        ("unit", (480, 640), (224, 224), (224, 298)),
        ("unit", (224, 224), (224, 224), (224, 224)),
        ("resize=100x200", (480, 640), (64, 64), (100, 200)),
        # A cut that is no square: 32 / 64 < 100 / 160, so the width decides: 64 x 100 / 160 = 40.
        ("unit", (64, 160), (32, 100), (40, 100)),
        ("unit", (160, 64), (32, 100), (250, 100)),
    ],
)
def test_sizes(text: str, size: tuple[int, int], wanted: tuple[int, int], expected: tuple[int, int]) -> None:
    assert get_preprocess(text).resized(size, wanted) == expected


def test_cuts_from_the_middle() -> None:
    assert middle((256, 341), (224, 224)) == (16, 58)  # 58.5 goes to the even one
    assert middle((256, 343), (224, 224)) == (16, 60)  # 59.5 likewise


@pytest.mark.parametrize(
    ("before", "after"), [((37, 50), (16, 22)), ((20, 31), (45, 40)), ((64, 64), (32, 32))]
)
def test_resizing_is_antialiased_and_bilinear(
    tmp_path: Path, before: tuple[int, int], after: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (*before, 3)).astype(np.uint8)
    path = save_image(tmp_path / "image.png", pixels)
    how = Preprocess(resize=after, crop=after)
    got = ImageFiles((path,), Frame(3, None, None, "nhwc"), how)[:1][0]
    # Pillow rounds to whole levels after each of its two passes, so half a level may be lost twice.
    assert np.abs(got - antialiased(pixels, *after)).max() <= 1.0


def test_halving_a_ramp(tmp_path: Path) -> None:
    # 0, 4, 8, ... 124 across; triangles of 4 pixels weigh 1, 3, 3, 1: inside, the mean is that of two pixels.
    ramp = np.broadcast_to(np.arange(0, 128, 4, dtype=np.uint8)[None, :, None], (32, 32, 3))
    path = save_image(tmp_path / "ramp.png", np.ascontiguousarray(ramp))
    got = ImageFiles((path,), Frame(3, 16, 16, "nhwc"), Preprocess())[:1][0]
    assert got[5, 1:-1, 0].tolist() == [8 * place + 2 for place in range(1, 15)]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jpg"])
def test_channels_and_layouts(tmp_path: Path, suffix: str) -> None:
    path = save_image(tmp_path / f"image.{suffix}", (10, 100, 200))
    exact = suffix in ("png", "bmp", "tif")
    for text, layout, expected in [
        ("none", "nchw", [10, 100, 200]),
        ("none,channels=bgr", "nchw", [200, 100, 10]),
        ("scale=1,mean=1,2,3,channels=bgr", "nhwc", [199, 98, 7]),
    ]:
        frame = Frame(3, 8, 8, "nchw" if layout == "nchw" else "nhwc")
        images = ImageFiles((path,), frame, get_preprocess(text))
        got = images[:1]
        assert images.shape == got.shape == ((1, 3, 8, 8) if layout == "nchw" else (1, 8, 8, 3))
        values = got[0].mean(axis=(1, 2) if layout == "nchw" else (0, 1))
        assert values.tolist() == pytest.approx(expected, abs=0 if exact else 3)


def test_gray_networks_take_luminance(tmp_path: Path) -> None:
    # ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B = 2.99 + 58.7 + 22.8 = 84.49
    path = save_image(tmp_path / "image.png", (10, 100, 200))
    got = ImageFiles((path,), Frame(1, 8, 8, "nchw"), Preprocess())[:1]
    assert got.shape == (1, 1, 8, 8)
    assert (got == 84).all()


def test_sides_that_the_network_leaves_open(tmp_path: Path) -> None:
    path = save_image(tmp_path / "image.png", np.zeros((12, 20, 3), np.uint8))
    frame = Frame(3, None, None, "nchw")
    assert ImageFiles((path,), frame, Preprocess())[:1].shape == (1, 3, 12, 20)
    assert ImageFiles((path,), frame, Preprocess(crop=(6, 6)))[:1].shape == (1, 3, 6, 6)


def test_files_that_cannot_be_images(tmp_path: Path) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    whole = save_image(tmp_path / "whole.jpg", noise)
    cut, text, deep = tmp_path / "cut.jpg", tmp_path / "text.png", tmp_path / "deep.png"
    cut.write_bytes(whole.read_bytes()[:-1000])
    text.write_text("no image")
    Image.fromarray(np.full((8, 8), 300, np.uint16)).save(deep)
    frame = Frame(3, 8, 8, "nchw")
    for path, problem in [
        (cut, "is not an image, or is truncated or damaged"),
        (text, "is not an image"),
        (deep, "more than 8 bits"),
        (tmp_path / "absent.png", "cannot be read"),
    ]:
        with pytest.raises(UserError) as caught:
            ImageFiles((path,), frame, Preprocess())[:1]
        assert str(path) in str(caught.value)
        assert problem in str(caught.value)
    small = ImageFiles((whole,), frame, Preprocess(resize=6))
    with pytest.raises(UserError, match="too small for the cut"):
        small[:1]


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((None, 3, 8, 9), None, Frame(3, 8, 9, "nchw")),
        ((None, 8, 9, 3), None, Frame(3, 8, 9, "nhwc")),
        ((None, 1, 8, 3), None, Frame(1, 8, 3, "nchw")),  # both would do: channels first is taken
        ((None, 3, 8, 3), "nhwc", Frame(3, 3, 8, "nhwc")),
        ((None, 3, None, 0), None, Frame(3, None, None, "nchw")),
    ],
)
def test_frames_of_networks(shape: tuple[int | None, ...], layout: str | None, expected: Frame) -> None:
    assert Frame.of(shape, layout, network="n") == expected  # type: ignore[arg-type]


def test_networks_that_take_no_images() -> None:
    for shape in ((None, 5, 8, 8), (None, 784)):
        with pytest.raises(UserError, match="takes no images"):
            Frame.of(shape, None, network="n")
