"""Do blocks of columns, and layers with a MAC of their own, compute the channels they are given?"""

from __future__ import annotations

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.foundation import UserError
from simulator.system import simulate_network
from simulator.workload.layer import Layer, Network, matrix_layer

LAYER = matrix_layer("l", "fc", m=20, n=64, k=50)


def arch_of(first: dict[str, object], second: dict[str, object], **overrides: object) -> ArchConfig:
    fields: dict[str, object] = {"array.column_blocks": [first, second]}
    fields.update({name.replace("__", "."): value for name, value in overrides.items()})
    return load_arch("int8_32x32", fields)


def macs_of(arch: ArchConfig, layer: Layer = LAYER) -> tuple[int, dict[str, int]]:
    run = simulate_network(arch, Network("n", (layer,))).layers[0]
    return run.folds, dict(run.counts.macs_by_name)


def test_channels_are_dealt_in_order_of_the_columns() -> None:
    arch = arch_of({"mac": "int8", "columns": 8}, {"mac": "int8 x int4", "columns": 24})
    folds, macs = macs_of(arch)
    assert folds == 2
    assert list(macs.values()) == [16 * 20 * 50, 48 * 20 * 50]


def test_listed_channels_take_their_block_and_as_many_folds_as_it_needs() -> None:
    listed = {"l": list(range(0, 60, 2))}  # 30 channels for 8 columns: four folds
    arch = arch_of({"mac": "int8", "columns": 8, "channels": listed}, {"mac": "int8 x int4", "columns": 24})
    folds, macs = macs_of(arch)
    assert folds == 4
    # Listed: 8 + 8 + 8 + 6. The 34 others fill the wide block's first two folds, 24 + 10.
    assert list(macs.values()) == [30 * 20 * 50, 34 * 20 * 50]


def test_a_layer_may_name_a_mac_of_its_own() -> None:
    arch = load_arch("int8_32x32", {"layers": {"b": {"mac": "elma8"}}})
    layers = tuple(matrix_layer(name, "fc", m=4, n=4, k=4) for name in ("a", "b"))
    run = simulate_network(arch, Network("n", layers))
    assert [layer.mac for layer in run.layers] == ["int8", "elma8"]
    assert [dict(layer.counts.macs_by_name) for layer in run.layers] == [{"int8": 64}, {"elma8": 64}]


@pytest.mark.parametrize(
    ("first", "overrides", "expected"),
    [
        (
            {"mac": "int8", "channels": {"l": [64]}},
            {},
            "array.column_blocks.0.channels.l: no such output channel",
        ),
        ({"mac": "int8", "channels": {"l": [3, 3]}}, {}, "channel is listed twice (got 3)"),
        ({"mac": "int8", "channels": {"ll": [3]}}, {}, "did you mean 'l'?"),
        ({"mac": "elma8"}, {}, "blocks share their activations"),
        ({"mac": "int8"}, {"array__dataflow": "is"}, "needs output channels along the columns"),
    ],
)
def test_blocks_that_cannot_be_are_told(
    first: dict[str, object], overrides: dict[str, object], expected: str
) -> None:
    arch = arch_of({"columns": 8, **first}, {"mac": "int8", "columns": 24}, **overrides)
    with pytest.raises(UserError) as caught:
        macs_of(arch)
    assert expected in str(caught.value)
