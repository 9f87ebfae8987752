"""SCALE-Sim topology files: read as users already have them, with that tool's sizes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.workload import Network, load_network
from simulator.workload.scalesim_csv import read_scalesim
from tests.golden import golden_file

HEADER = (
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
)


def read(text: str, folder: Path) -> Network:
    path = folder / "topology.csv"
    path.write_bytes(text.encode("utf-8"))
    return read_scalesim(path)


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("topology", ["alexnet", "resnet18"])
def test_sizes_are_those_that_scalesim_reports(topology: str, dataflow: str) -> None:
    network = load_network(golden_file(f"scalesim/{topology}.csv"))
    with golden_file(f"scalesim/{topology}_{dataflow}.csv").open(encoding="utf-8") as file:
        reported = list(csv.DictReader(file))
    assert len(reported) == len(network.layers) > 0
    for row, layer in zip(reported, network.layers, strict=True):
        assert layer.name == row["layer"]
        assert [layer.m, layer.n, layer.k, layer.macs] == [int(row[key]) for key in ("M", "N", "K", "macs")]
        assert layer.convolution is not None
        assert layer.convolution.ofmap == (int(row["ofmap_h"]), int(row["ofmap_w"]))


sizes = st.integers(1, 40)


@given(
    height=sizes, width=sizes, kernel=st.tuples(sizes, sizes), stride=st.tuples(sizes, sizes),
    channels=sizes, filters=sizes,
)  # fmt: skip
def test_output_sizes_round_up(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    width: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    channels: int,
    filters: int,
) -> None:
    """ceil((ifmap - kernel + stride) / stride), for all geometries that tool accepts."""
    kernel_height, kernel_width = min(kernel[0], height), min(kernel[1], width)
    row = f"x,{height},{width},{kernel_height},{kernel_width},{channels},{filters},{stride[0]},{stride[1]},"
    (layer,) = read(HEADER + row, tmp_path_factory.mktemp("csv")).layers
    rows = -((kernel_height - height - stride[0]) // stride[0])
    columns = -((kernel_width - width - stride[1]) // stride[1])
    assert layer.m == rows * columns
    assert layer.k == kernel_height * kernel_width * channels
    assert layer.n == filters
    assert layer.macs == layer.m * layer.n * layer.k
    assert layer.ifmap_elements == height * width * channels


PLAIN = HEADER + "conv1,224,224,7,7,3,64,2,\nfc,1,1,1,1,512,1000,1,\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        PLAIN.replace(",\n", "\n"),
        PLAIN.replace(",", " , "),
        PLAIN.replace("\n", "\n\n  \n,,,,\n"),
        "\n\n" + PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.removeprefix(HEADER),
        PLAIN.replace("3,64,2,", "3,64,2,2,").replace("1000,1,", "1000,1,1,"),
        PLAIN.replace("3,64,2,", "3,64,2,4:4,").replace("1000,1,", "1000,1,1:1,"),
    ],
    ids=["CRLF", "BOM", "no trailing comma", "spaces", "blank lines", "blank start", "no last newline",
         "no header", "two strides", "dense sparsity column"],
)  # fmt: skip
def test_the_same_file_in_the_ways_people_write_it(text: str, tmp_path: Path) -> None:
    assert read(text, tmp_path).layers == read(PLAIN, tmp_path).layers
    assert read(text, tmp_path).skipped_operators == ()


def test_matrix_form(tmp_path: Path) -> None:
    network = read("Layer, M, N, K,\ngemm1, 100, 20, 300,\ngemm2,7,8,9\n", tmp_path)
    assert [(layer.kind, layer.m, layer.n, layer.k) for layer in network.layers] == [
        ("matmul", 100, 20, 300),
        ("matmul", 7, 8, 9),
    ]
    assert network.parameters == 20 * 300 + 8 * 9


def test_matrix_form_without_a_header_keeps_its_first_layer(tmp_path: Path) -> None:
    assert [layer.name for layer in read("a,1,2,3,\nb,4,5,6,\n", tmp_path).layers] == ["a", "b"]


def test_dp_in_the_name_means_depthwise(tmp_path: Path) -> None:
    (layer,) = read(HEADER + "Conv_DP_2,114,114,3,3,32,1,1,\n", tmp_path).layers
    assert (layer.kind, layer.groups, layer.m, layer.n, layer.k) == ("depthwise", 32, 112 * 112, 32, 9)
    (double,) = read(HEADER + "DP2,10,10,3,3,4,2,1,\n", tmp_path).layers
    assert (double.groups, double.n, double.n_per_group, double.macs) == (4, 8, 2, 64 * 9 * 8)


def test_sparsity_is_simulated_dense_and_says_so(tmp_path: Path) -> None:
    sparse = read(HEADER + "conv1,224,224,7,7,3,64,2,2:4,\n", tmp_path)
    assert sparse.layers == read(HEADER + "conv1,224,224,7,7,3,64,2,\n", tmp_path).layers
    assert sparse.skipped_operators == ("sparsity 2:4 of layer conv1 (simulated dense)",)


def test_repeated_names_are_told_apart(tmp_path: Path) -> None:
    network = read(HEADER + "x,8,8,3,3,1,1,1,\nx,8,8,3,3,1,1,1,\nx_2,8,8,3,3,1,1,1,\n", tmp_path)
    assert [layer.name for layer in network.layers] == ["x", "x_2", "x_2_2"]


def test_a_batch_multiplies_rows(tmp_path: Path) -> None:
    path = tmp_path / "topology.csv"
    path.write_text("name,M,N,K\na,10,20,30\n")
    assert load_network(str(path), batch=3).layers[0].m == 30
