"""Does a shell get the words that a command takes?"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from simulator.arch import load_arch
from simulator.cli.completion import arch_fields, fields, policies
from simulator.foundation import UserError
from tests.command import ROOT


def offered(*words: str) -> list[str]:
    """What bash is told for the last of some words."""
    environment = os.environ | {
        "_SYSTOLIC_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "simulator"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("systolic", "sim"), ["simulate"]),
        (("systolic", "simulate", "resnet"), ["resnet18", "resnet50", "resnet8_fashion"]),
        (("systolic", "infer", ""), ["lenet5_fashion", "resnet8_fashion", "vit_fashion"]),
        (("systolic", "networks", "show", "vgg"), ["vgg16", "vgg19"]),
        (("systolic", "simulate", "resnet50", "--arch", "int8"), ["int8_32x32", "int8_32x32_unified"]),
        (("systolic", "simulate", "resnet50", "--mac", "elma"), ["elma8", "elma16"]),
        (("systolic", "compare", "resnet50", "--mac", "fp8"), ["fp8", "fp8_fp16"]),
        (("systolic", "infer", "vit_fashion", "--policy", "m"), ["max", "mse", "mixed"]),
        (
            ("systolic", "simulate", "resnet50", "--set", "sram.ofmap.w"),
            ["sram.ofmap.word_bits="],
        ),
        (
            ("systolic", "simulate", "resnet50", "--set", "dram.b"),
            ["dram.bandwidth_gbyte_per_s=", "dram.burst_bytes="],
        ),
    ],
)
def test_a_word_is_completed(words: tuple[str, ...], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_a_policy_is_completed_behind_its_mac() -> None:
    assert policies("elma8=dr") == ["elma8=drop_in"]
    assert policies("e4m3 x e4m3=ms") == ["e4m3 x e4m3=mse"]


@pytest.mark.parametrize("field", arch_fields())
def test_every_field_offered_is_one(field: str) -> None:
    """A field that there is none of is refused as unknown, whatever the value."""
    with pytest.raises(UserError) as refused:
        load_arch("int8_32x32", {field: object})
    assert "unknown" not in str(refused.value)
    with pytest.raises(UserError, match="unknown"):
        load_arch("int8_32x32", {f"{field}_": 1})


def test_fields_end_where_their_value_begins() -> None:
    assert all(field.endswith("=") for field in fields(""))
    assert {"clock_mhz=", "array.rows=", "tiling.tile_m=", "sram.filter.capacity_kib="} <= set(fields(""))
