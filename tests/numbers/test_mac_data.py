"""Are MACs the data that the presets, spec strings and mappings say, and are derived widths wide enough?"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.foundation import UserError
from simulator.foundation.documents import parse_yaml
from simulator.numerics import FixedAccumulator, FloatAccumulator, get_mac, multiply, preset_names
from simulator.numerics.accumulators import BlockAccumulator
from simulator.numerics.block_scaled.block_scaling import BlockScaling
from simulator.numerics.mac_config import read_spec
from simulator.numerics.overflow_bounds import overflow_bound

PRESETS = {
    "int8": ("int8", "int8", "exact", FixedAccumulator(32, 0, "wrap")),
    "elma8": ("log8.1", "log8.1", "log", FixedAccumulator(38, -24, "wrap")),
    "elma16": ("log16", "log16", "log", FixedAccumulator(49, -32, "wrap")),
    "fp16": ("fp16", "fp16", "fused", FloatAccumulator("fp16", flush_subnormals=True)),
    "posit8": ("posit8.1", "posit8.1", "exact", FixedAccumulator(38, -24, "sticky")),
    "mixed8": ("fix8.5", "e4m3", "exact", FixedAccumulator(32, -14, "wrap")),
    "fp8": ("e4m3", "e4m3", "exact", FixedAccumulator(50, -18, "wrap")),
    "fp8_fp16": ("e4m3fn", "e4m3fn", "fused", FloatAccumulator("fp16")),
    "bf16": ("bf16", "bf16", "fused", FloatAccumulator("fp32")),
    "fp32": ("fp32", "fp32", "fused", FloatAccumulator("fp32")),
}
MX, NV = BlockScaling("e8m0", 32, "floor"), BlockScaling("e4m3fn", 16, "nearest", tensor_scale=True)
BLOCK_PRESETS = {
    "mxfp8_e4m3": ("e4m3fn", MX),
    "mxfp8_e5m2": ("e5m2ieee", MX),
    "mxfp6_e3m2": ("e3m2", MX),
    "mxfp6_e2m3": ("e2m3", MX),
    "mxfp4": ("e2m1", MX),
    "mxint8": ("fix8.6", MX),
    "nvfp4": ("e2m1", NV),
}
"""Elements of both operands, and their block scales."""


def test_the_presets_are_the_published_units() -> None:
    assert set(preset_names()) == {*PRESETS, *BLOCK_PRESETS}
    for name, (activation, weight, product, accumulator) in PRESETS.items():
        spec = get_mac(name).spec
        assert (spec.activation, spec.weight, spec.product, spec.accumulator) == (
            activation,
            weight,
            product,
            accumulator,
        )
        assert spec.source
        assert spec.description
    for name, (element, blocks) in BLOCK_PRESETS.items():
        spec = get_mac(name).spec
        assert (spec.activation, spec.weight, spec.blocks) == (element, element, blocks)
        assert spec.accumulator == BlockAccumulator("fused", 32, 4608)
        assert spec.source
        assert spec.description


@pytest.mark.parametrize(
    ("pair", "bits"), [("e2m3 x e2m3", 26), ("e3m2 x e3m2", 32), ("e4m3 x e4m3", 50), ("e5m2 x e5m2", 80)]
)
def test_minifloat_widths_are_aggarwals_for_4608_products(pair: str, bits: int) -> None:
    assert get_mac(pair).accumulator_bits == bits


def test_a_longer_reduction_derives_a_wider_accumulator() -> None:
    widths = [
        get_mac({"activation": "int8", "weight": "int8", "reduction_length": n}).accumulator_bits
        for n in (1, 2, 3, 4608)
    ]
    # 128 x 128 x n must not exceed 2**(bits - 1) - 1.
    assert widths == [16, 17, 17, 28]


minifloats = st.builds(
    lambda unsigned, E, M, bias: f"{'u' if unsigned else ''}e{E}m{M}b{bias}",
    st.booleans(),
    st.integers(1, 5),
    st.integers(2, 4),
    st.integers(-3, 12),
)
formats = st.one_of(minifloats, st.sampled_from(["int4", "uint8", "fix8.5", "posit8.1", "e4m3fn", "int16"]))


@settings(max_examples=150, deadline=None)
@given(formats, formats, st.integers(1, 10_000))
def test_a_derived_accumulator_loses_nothing_and_never_overflows(a: str, w: str, length: int) -> None:
    mac = get_mac({"activation": a, "weight": w, "reduction_length": length})
    fixed = mac.accumulator
    assert isinstance(fixed, FixedAccumulator)
    bound = overflow_bound(mac, length)
    assert not bound.may_overflow
    ends = [Fraction(v) for v in (mac.activation.lowest, mac.activation.largest)]
    others = [Fraction(v) for v in (mac.weight.lowest, mac.weight.largest)]
    corners = [x * y * length / Fraction(2) ** fixed.lsb for x in ends for y in others]
    assert fixed.lowest <= min(corners)
    assert max(corners) <= fixed.highest
    for x, y in zip((0, 1, 3), (1, 1, 2), strict=True):  # small codes: the finest products are whole
        exact = Fraction(float(mac.activation.decode(x))) * Fraction(float(mac.weight.decode(y)))
        assert int(mac.product(x, y)) == exact / Fraction(2) ** fixed.lsb


def test_the_overflow_bound_is_tight() -> None:
    mac = get_mac("int8")
    longest = overflow_bound(mac, 1).longest_safe_reduction
    assert longest == (2**31 - 1) // 2**14
    low = np.full((1, longest), -128, np.int8)
    assert multiply(mac, low, low.T).accumulators.item() == longest * 2**14
    one_more = np.full((1, longest + 1), -128, np.int8)
    assert multiply(mac, one_more, one_more.T).accumulators.item() < 0  # wrapped
    assert overflow_bound(mac, longest + 1).may_overflow
    assert "sums of 131072 products" in str(overflow_bound(mac, longest + 1))


def test_ones_own_macs_come_before_the_presets() -> None:
    own = {"int8": {"activation": "int8", "weight": "int4"}}
    assert get_mac("int8", custom=own).weight.spec == "int4"
    assert get_mac("int8").weight.spec == "int8"


def test_a_mac_is_made_from_its_own_data() -> None:
    mac = get_mac("elma8")
    assert get_mac(mac.spec) is mac
    assert get_mac(mac) is mac
    assert get_mac("e4m3 x e4m3").spec.accumulator == get_mac("fp8").spec.accumulator


WRITTEN = [
    *preset_names(),
    "e4m3 x ue4m4b9",
    {"activation": "fp16", "weight": "e4m3fn", "accumulator": {"kind": "truncated", "format": "bf16"}},
    {
        "activation": "int8",
        "weight": "int4",
        "accumulator": {"bits": 20, "kind": "fixed", "overflow": "saturate"},
        "price": {"energy": "mine", "area": "composed"},
        "pipeline_depth": 3,
        "max_clock_mhz": 250.5,
    },
]


@pytest.mark.parametrize("choice", WRITTEN, ids=str)
def test_a_mac_written_down_as_plain_data_is_read_back_the_same(choice: Any) -> None:
    spec = get_mac(choice).spec
    document = json.loads(json.dumps(spec.document()))
    assert document["accumulator"]["kind"] == spec.accumulator.kind
    assert read_spec(document) == spec
    assert get_mac(read_spec(document)).accumulator == spec.accumulator


def test_accumulators_that_earlier_versions_wrote_without_a_kind_are_read() -> None:
    for name in ("int8", "fp16", "posit8"):
        spec = get_mac(name).spec
        document = spec.document()
        del document["accumulator"]["kind"]
        assert read_spec(document) == spec


def test_a_document_that_is_no_mac_is_refused() -> None:
    document = get_mac("int8").spec.document()
    with pytest.raises(UserError, match=r"weight.*required"):
        read_spec({name: value for name, value in document.items() if name != "weight"})
    with pytest.raises(UserError, match="unknown number format"):
        read_spec({**document, "weight": "int99x"})
    with pytest.raises(UserError, match=r"accumulator\.bits"):
        read_spec({**document, "accumulator": {"kind": "fixed", "bits": "many", "lsb": 0}})
    with pytest.raises(UserError, match="pipeline_depth"):
        read_spec({**document, "pipeline_depth": "deep"})


def test_the_examples_of_the_documentation_run() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "macs.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    assert names["mac"].weight.spec == "int4"
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        own = parse_yaml(block, source="docs/macs.md")["macs"]
        assert [get_mac(name, custom=own).spec.pipeline_depth for name in own] == [2]


def test_importing_the_numerics_does_not_import_the_compiler() -> None:
    script = (
        "import sys, simulator.numerics as n, simulator.cli.macs, simulator.numerics.activity;"
        "m = n.get_mac('elma8'); n.multiply(m, [[1]], [[2]]); print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "accumulator", [{"kind": "float", "format": "fp16"}, {"kind": "truncated", "format": "fp16"}]
)
def test_a_fused_step_has_no_sign_of_overflow(accumulator: dict[str, str]) -> None:
    document = get_mac("fp16").spec.document()
    mac = get_mac(read_spec({**document, "accumulator": accumulator}))
    with pytest.raises(UserError, match="are fused into a"):
        mac.overflow_sign([0], [1], [1])
