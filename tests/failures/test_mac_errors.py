"""Does a MAC, or a product, that cannot be fail with one clear message?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.numerics import get_mac, multiply


def fixed(**accumulator: Any) -> dict[str, Any]:
    """An int8 MAC with this accumulator."""
    return {"activation": "int8", "weight": "int8", "accumulator": {"kind": "fixed", **accumulator}}


@pytest.mark.parametrize(
    ("choice", "parts"),
    [
        ("elma9", ["unknown MAC", "'elma9'", "did you mean 'elma8'?"]),
        ("e4m3 x e44m3", ["weight", "e44m3"]),
        ("e4m3 by e4m3", ["unknown MAC", "'e4m3 x e4m3'"]),
        (fixed(bits=12, lsb=0), ["too narrow for one product of int8 x int8", "got 12", "16 or more"]),
        (fixed(bits=20, lsb=-8), ["too narrow", "2^-8", "24 or more"]),
        (fixed(bits=300), ["accumulator", "300", "128"]),
        (fixed(width=32), ["unknown key", "'width'"]),
        ("bf16 x bf16", ["accumulator of", "bits", "128"]),
        ({"activation": "int8"}, ["weight", "required"]),
        ({"activation": "int8", "weight": "int8", "product": "log"}, ["two log formats", "int8 x int8"]),
        ({"activation": "int8", "weight": "int8", "product": "fused"}, ["product", "'fused'", "exact, log"]),
        (
            {"activation": "fp16", "weight": "fp16", "product": "exact", "accumulator": {"kind": "float",
            "format": "fp16"}}, ["product", "'exact'", "fused"],
        ),
        (
            {"activation": "fp16", "weight": "fp16", "accumulator": {"kind": "float", "format": "int8"}},
            ["accumulator.format", "'int8'", "not a signed float"],
        ),
        ({"activation": "int8", "weight": "int8", "output": "posit"}, ["output", "'posit'", "nearest"]),
        ({"activation": "int8", "weight": "int8", "pipeline_depth": 0}, ["pipeline_depth", "0"]),
        (
            {"activation": "int8", "weight": "int8", "accumulator": {"kind": "floating"}},
            ["accumulator", "floating", "'fixed', 'float'"],
        ),
        (8, ["a MAC is a name", "8"]),
    ],
)  # fmt: skip
def test_a_mac_that_cannot_be_is_refused(choice: Any, parts: list[str]) -> None:
    with pytest.raises(UserError) as error:
        get_mac(choice)
    for part in parts:
        assert part in str(error.value), str(error.value)


def test_names_of_ones_own_are_suggested_too() -> None:
    with pytest.raises(UserError, match="did you mean 'tiny8'"):
        get_mac("tiny9", custom={"tiny8": {"activation": "int8", "weight": "int8"}})


@pytest.mark.parametrize(
    ("a", "w", "parts"),
    [
        ((3, 4), (5, 2), ["shapes do not match", "[3, 4]", "[5, 2]", "[M, K] and [K, N]"]),
        ((3,), (3, 2), ["shapes do not match", "[3]"]),
        ((3, 4), (2, 4, 2), ["shapes do not match", "[2, 4, 2]"]),
    ],
)
def test_shapes_that_do_not_match_are_refused(
    a: tuple[int, ...], w: tuple[int, ...], parts: list[str]
) -> None:
    with pytest.raises(UserError) as error:
        multiply(get_mac("elma8"), np.zeros(a, np.uint8), np.zeros(w, np.uint8))
    for part in parts:
        assert part in str(error.value)


def test_codes_outside_their_format_are_refused() -> None:
    mac = get_mac("e2m1 x e2m1")
    with pytest.raises(UserError, match=r"codes outside format e2m1.*got 16"):
        multiply(mac, [[3, 16]], [[1], [1]])
    with pytest.raises(UserError, match="codes outside format e2m1"):
        mac.product(np.array([-1]), np.array([0]))
    with pytest.raises(UserError, match="must be integers"):
        mac.product(np.array([0.5]), np.array([0]))


def test_accumulators_to_start_from_must_fit() -> None:
    mac = get_mac("int8")
    a, w = np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)
    with pytest.raises(UserError, match=r"outside 32 bits .got 2147483648"):
        multiply(mac, a, w, initial=np.full((2, 2), 2**31))
    with pytest.raises(UserError, match="do not fit the product"):
        multiply(mac, a, w, initial=np.zeros((3, 3), np.int64))
    with pytest.raises(UserError, match="must be integers"):
        multiply(mac, a, w, initial=np.zeros((2, 2)))


def test_a_forced_engine_says_why_it_cannot() -> None:
    codes = np.zeros((2, 2), np.uint8)
    with pytest.raises(UserError, match=r"'blas' cannot compute MAC 'elma8' here: only exact products"):
        multiply(get_mac("elma8"), codes, codes, engine="blas")
    with pytest.raises(UserError, match=r"unknown engine.*'gpu'"):
        multiply(get_mac("elma8"), codes, codes, engine="gpu")


def test_what_only_one_kind_of_accumulator_has_is_refused_for_the_other() -> None:
    with pytest.raises(UserError, match="has a fixed accumulator"):
        _ = get_mac("int8").accumulator_format
    with pytest.raises(UserError, match="has no table of products"):
        get_mac("fp16").product_table()
