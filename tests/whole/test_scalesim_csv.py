"""SCALE-Sim topology files: read as users already have them, with that tool's sizes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.simulation import simulate
from simulator.workload import Network, load_network
from simulator.workload.batching import with_batch
from simulator.workload.scalesim_csv import read_scalesim
from tests.reference.scalesim import reports, topology_csv

HEADER = (
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
)


def read(text: str, folder: Path) -> Network:
    path = folder / "topology.csv"
    path.write_bytes(text.encode("utf-8"))
    return read_scalesim(path)


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("topology", ["alexnet", "resnet18"])
def test_sizes_are_those_that_scalesim_reports(topology: str, dataflow: str, tmp_path: Path) -> None:
    path = tmp_path / f"{topology}.csv"
    path.write_text(topology_csv(topology), encoding="utf-8")
    network = load_network(path)
    reported = reports(topology, dataflow)
    assert len(reported) == len(network.layers) > 0
    for row, layer in zip(reported, network.layers, strict=True):
        assert layer.name == row.layer
        assert [layer.m, layer.n, layer.k, layer.macs] == [row.M, row.N, row.K, row.macs]
        assert layer.convolution is not None
        assert layer.convolution.ofmap == (row.ofmap_h, row.ofmap_w)


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


def rows_joined(separator: str) -> str:
    return PLAIN.replace(",\n", "\n").replace(", ", ",").replace(",", separator)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        PLAIN.replace(",\n", "\n"),
        PLAIN.replace(",", " , "),
        PLAIN.replace("\n", "\n\t").replace(",", ",\t"),
        PLAIN.replace("\n", "\n\n  \n,,,,\n"),
        "\n\n" + PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.removeprefix(HEADER),
        PLAIN.replace("3,64,2,", "3,64,2,4:4,").replace("1000,1,", "1000,1,1:1,"),
        PLAIN.replace(HEADER, HEADER.lower()),
        PLAIN.replace(HEADER, HEADER.upper()),
        PLAIN.replace(HEADER, "name,h,w,fh,fw,c,n,s\n"),
        PLAIN.replace(HEADER, "layer_name,ifmap_h,ifmap_w,filter_h,filter_w,num_ch,num_filt,stride\n"),
        PLAIN.replace(HEADER, "Layer,IfmapHeight,IFMAPWidth,KernelH,kernelwidth,channels,# Filters,Stride\n"),
        PLAIN.replace(HEADER, "# " + HEADER),
        PLAIN.replace(HEADER, HEADER.rstrip(",\n") + ", Strides,\n").replace(",2,\n", ",2,2,\n")
        .replace(",1,\n", ",1,1,\n"),
        "# exported, by hand, 1, 2\n" + PLAIN,
        PLAIN.replace("64,2,", "64,2,#dw").replace("1000,1,", "1000,1 # the, classifier"),
        PLAIN.replace("fc,", "# x,1,1,1,1,1,1,1,\nfc,"),
        rows_joined(";"),
        rows_joined("\t"),
        PLAIN.replace("conv1,224,224", '"conv1","224", "224"').replace("Layer name,", '"Layer name",'),
        PLAIN.replace("224,224,7,7", "224.0,224.,7.00,7").replace("1000,1,", "1e3,+1,"),
    ],
    ids=["CRLF", "CR", "BOM", "no trailing comma", "spaces", "tabs", "blank lines", "blank start",
         "no last newline", "no header", "dense sparsity column", "lower case", "upper case", "letters",
         "underscores", "words run together", "commented header", "strides twice", "a comment first",
         "comments behind", "a layer commented out", "semicolons", "tab separated", "quotes", "floats"],
)  # fmt: skip
def test_the_same_file_in_the_ways_people_write_it(text: str, tmp_path: Path) -> None:
    network = read(text, tmp_path)
    assert network.layers == read(PLAIN, tmp_path).layers
    assert network.layers[0].name == "conv1"
    assert (network.skipped_operators, network.notes, network.batch) == ((), (), 1)


SPELLINGS = {
    "name": ("Layer name", "layer", "LAYER_NAME", "name"),
    "ifmap height": ("IFMAP Height", "ifmap_h", "Input height", "IfmapHeight"),
    "ifmap width": ("IFMAP Width", "ifmap w", "input_width", "IFMAPWidth"),
    "filter height": ("Filter Height", "filter_h", "Kernel Height", "filterheight"),
    "filter width": ("Filter Width", "filter w", "kernel_w"),
    "channels": ("Channels", "num_ch", "Input Channels", "Number of channels"),
    "filters": ("Num Filter", "num filters", "Filters", "Output channels"),
    "stride height": ("Stride Height", "stride_h", "StrideHeight"),
    "stride width": ("Stride Width", "stride (w)", "stride_width"),
    "batch": ("Batch", "Batch Size", "batch_size"),
}
ROW = {
    "name": "c", "ifmap height": 31, "ifmap width": 29, "filter height": 3, "filter width": 5,
    "channels": 4, "filters": 8, "stride height": 2, "stride width": 3, "batch": 6,
}  # fmt: skip


@given(data=st.data())
def test_columns_are_what_the_header_says_in_any_order_and_spelling(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """15 x 9 outputs: ceil((31 - 3 + 2) / 2) and ceil((29 - 5 + 3) / 3); 3 x 5 x 4 products in each."""
    order = data.draw(st.permutations(list(ROW)))
    header = ",".join(data.draw(st.sampled_from(SPELLINGS[column])) for column in order)
    text = f"{header}\n{','.join(str(ROW[column]) for column in order)}\n"
    network = read(text, tmp_path_factory.mktemp("csv"))
    (layer,) = network.layers
    assert (layer.name, layer.m, layer.n, layer.k) == ("c", 6 * 15 * 9, 8, 60)
    assert layer.convolution is not None
    assert (layer.convolution.ifmap, layer.convolution.kernel) == ((31, 29), (3, 5))
    assert network.batch == 6


@pytest.mark.parametrize("order", list(permutations(("M", "N", "K"))))
@pytest.mark.parametrize("spelling", [str.upper, str.lower])
def test_a_header_may_name_m_n_and_k_in_any_order(
    order: tuple[str, ...], spelling: Callable[[str], str], tmp_path: Path
) -> None:
    sizes = {"M": 8, "N": 100, "K": 784}
    titles = ",".join(spelling(title) for title in order)
    network = read(f"Layer,{titles},\nfc1,{','.join(str(sizes[title]) for title in order)},\n", tmp_path)
    (layer,) = network.layers
    assert (layer.m, layer.n, layer.k) == (8, 100, 784)
    if order == ("M", "N", "K"):
        assert network.notes == ()
    else:
        (note,) = network.notes
        assert f"in the order that the header gives (Layer, {', '.join(map(spelling, order))})" in note
        assert "SCALE-Sim itself reads them by place" in note


@pytest.mark.parametrize(
    ("column", "value", "outputs", "batch", "notes"),
    [
        ("", "2", 225, 1, ("as in SCALE-Sim 2; lines 2",)),
        ("", "1", 15 * 29, 1, ("as in SCALE-Sim 2; lines 2",)),
        ("Stride Width", "1", 15 * 29, 1, ()),
        ("Batch Size", "1", 225, 1, ()),
        ("Batch Size", "3", 3 * 225, 3, ("batch sizes (3) are those of the file's column",)),
        ("Batch", "", 225, 1, ()),
        ("Sparsity", "2:4", 225, 1, ("simulated dense: c (2:4)",)),
        ("Sparsity", "0.5", 225, 1, ("simulated dense: c (0.5)",)),
        ("Sparsity", "4:4", 225, 1, ()),
        ("", "2:4", 225, 1, ("simulated dense: c (2:4)",)),
        ("IFMAP Offset", "4096", 225, 1, ("not used: IFMAP Offset",)),
        ("Comment", "", 225, 1, ("not used: Comment",)),
    ],
)
def test_the_eighth_column_is_what_the_header_says(
    column: str, value: str, outputs: int, batch: int, notes: tuple[str, ...], tmp_path: Path
) -> None:
    """31 x 31 with a 3 x 3 filter and stride 2: ceil((31 - 3 + 2) / 2) = 15 both ways, 29 with stride 1."""
    titles = HEADER.rstrip("\n") + (f" {column},\n" if column else "\n")
    network = read(f"{titles}c,31,31,3,3,4,8,2,{value},\n", tmp_path)
    assert (network.layers[0].m, network.batch) == (outputs, batch)
    assert len(network.notes) == len(notes)
    for note, part in zip(network.notes, notes, strict=True):
        assert part in note


def test_layers_of_different_batch_sizes(tmp_path: Path) -> None:
    header = HEADER.rstrip("\n") + "Batch,\n"
    network = read(header + "a,31,31,3,3,4,8,2,3,\nb,31,31,3,3,4,8,2,1,\n", tmp_path)
    assert [layer.m for layer in network.layers] == [3 * 225, 225]
    assert network.batch == 1
    assert "batch sizes (1, 3)" in network.notes[0]
    assert "counts as one input" in network.notes[0]
    (matrix,) = read("layer,M,N,K,batch\na,10,20,30,4\n", tmp_path).layers
    assert (matrix.m, matrix.n, matrix.k) == (40, 20, 30)


def test_a_title_given_twice_is_settled_by_its_place_and_said(tmp_path: Path) -> None:
    """A header that SCALE-Sim ships (`topologies/test.csv`) names the ifmap's width twice."""
    doubled = HEADER.replace("IFMAP Height", "IFMAP Width")
    network = read(doubled + "Conv2,755,512,1,512,1,883,1,\n", tmp_path)
    assert (network.layers[0].m, network.layers[0].n, network.layers[0].k) == (755, 883, 512)
    assert network.notes == (
        "the header names 'IFMAP Width' twice; column 2 is read as ifmap height, by its place",
    )


def test_a_title_above_the_header_and_the_index_of_a_data_frame(tmp_path: Path) -> None:
    titled = read("ResNet-18,,,\n" + PLAIN, tmp_path)
    assert titled.layers == read(PLAIN, tmp_path).layers
    assert titled.notes == ("line 1 of topology.csv is taken as a title: 'ResNet-18'",)
    indexed = read(",Layer,M,N,K\n0,a,1,2,3\n1,b,4,5,6\n", tmp_path)
    assert [(layer.name, layer.m, layer.n, layer.k) for layer in indexed.layers] == [
        ("a", 1, 2, 3),
        ("b", 4, 5, 6),
    ]
    assert indexed.notes[-1] == "columns of the topology that are not used: column 1"


def test_matrix_form(tmp_path: Path) -> None:
    network = read("Layer, M, N, K,\ngemm1, 100, 20, 300,\ngemm2,7,8,9\n", tmp_path)
    assert [(layer.kind, layer.m, layer.n, layer.k) for layer in network.layers] == [
        ("matmul", 100, 20, 300),
        ("matmul", 7, 8, 9),
    ]
    assert network.parameters == 20 * 300 + 8 * 9


def test_matrix_form_without_a_header_keeps_its_first_layer(tmp_path: Path) -> None:
    assert [layer.name for layer in read("a,1,2,3,\nb,4,5,6,\n", tmp_path).layers] == ["a", "b"]


@pytest.mark.parametrize("name", ["DP", "DP1", "Conv_DP_2", "Conv DP", "12DP", "dw-DP.3"])
def test_the_word_dp_means_depthwise_and_is_said(name: str, tmp_path: Path) -> None:
    network = read(HEADER + f"{name},114,114,3,3,32,1,1,\n", tmp_path)
    (layer,) = network.layers
    assert (layer.kind, layer.groups, layer.m, layer.n, layer.k) == ("depthwise", 32, 112 * 112, 32, 9)
    assert network.notes == (f"read as depthwise, because the name holds the word DP: {name}",)


def test_each_channel_has_its_own_filters(tmp_path: Path) -> None:
    (double,) = read(HEADER + "DP2,10,10,3,3,4,2,1,\n", tmp_path).layers
    assert (double.groups, double.n, double.n_per_group, double.macs) == (4, 8, 2, 64 * 9 * 8)


@pytest.mark.parametrize("name", ["ADPCM", "DPConv", "ConvDP", "UDP_layer"])
def test_dp_inside_a_word_means_nothing_and_is_said(name: str, tmp_path: Path) -> None:
    network = read(HEADER + f"{name},114,114,3,3,32,8,1,\n", tmp_path)
    (layer,) = network.layers
    assert (layer.kind, layer.groups, layer.n, layer.k) == ("conv", 1, 8, 288)
    (note,) = network.notes
    assert "ordinary convolutions" in note
    assert note.endswith(f"SCALE-Sim reads them as depthwise: {name}")


@pytest.mark.parametrize("name", ["dp1", "Conv_dw", "DepthwiseConv2D_1", "conv#1"])
def test_names_that_scalesim_reads_as_ordinary_are_ordinary(name: str, tmp_path: Path) -> None:
    network = read(HEADER + f"{name},114,114,3,3,32,8,1,\n", tmp_path)
    assert (network.layers[0].name, network.layers[0].kind, network.notes) == (name, "conv", ())


def test_sparsity_is_simulated_dense_and_says_so(tmp_path: Path) -> None:
    sparse = read(HEADER + "conv1,224,224,7,7,3,64,2,2:4,\n", tmp_path)
    assert sparse.layers == read(HEADER + "conv1,224,224,7,7,3,64,2,\n", tmp_path).layers
    assert sparse.skipped_operators == ("sparsity 2:4 of layer conv1 (simulated dense)",)
    assert sparse.notes == ("sparsity is not modelled; simulated dense: conv1 (2:4)",)
    matrix = read("Layer, M, N, K, Sparsity,\nGEMM_1, 1, 5, 16, 1,\nGEMM_2, 3, 5, 16, 3:4,\n", tmp_path)
    assert matrix.notes == ("sparsity is not modelled; simulated dense: GEMM_1 (1), GEMM_2 (3:4)",)


def test_what_the_reader_assumed_is_a_warning_of_the_result(tmp_path: Path) -> None:
    network = read("Layer, M, K, N\nfc1, 8, 784, 100\n", tmp_path)
    assert len(network.notes) == 1
    result = simulate(network)
    assert result.warnings[:1] == list(network.notes)
    assert simulate(with_batch(network, 2)).warnings[:1] == list(network.notes)


def test_repeated_names_are_told_apart(tmp_path: Path) -> None:
    network = read(HEADER + "x,8,8,3,3,1,1,1,\nx,8,8,3,3,1,1,1,\nx_2,8,8,3,3,1,1,1,\n", tmp_path)
    assert [layer.name for layer in network.layers] == ["x", "x_2", "x_2_2"]
    assert network.parameters == 3 * 9


def test_a_batch_multiplies_rows(tmp_path: Path) -> None:
    path = tmp_path / "topology.csv"
    path.write_text("name,M,N,K\na,10,20,30\n")
    assert load_network(str(path), batch=3).layers[0].m == 30
