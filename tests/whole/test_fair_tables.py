"""Accuracies side by side: the same images, points and noise, policies by MAC, and what is warned of."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from simulator.foundation import UserError
from simulator.foundation.paired import paired_difference
from simulator.inference import infer, load_images, load_model
from simulator.measured_runs import Tensors
from simulator.report.comparison import compare_results, variant_names
from simulator.report.console import render_comparison
from simulator.report.html import render_html
from simulator.report.tabular import comparison_rows
from simulator.result import Result, load_result
from simulator.result_accuracy import Accuracy, pack_outcomes
from simulator.simulation import simulate
from tests.command import run
from tests.report_fixtures import make_result

Capture = pytest.CaptureFixture[str]
DATA = ("--data", "fashion_mnist_1000")


def result(
    right: str, mac: str = "int8", *, policy: str = "max", images_hash: str = "a", labels: bool = True
) -> Result:
    """A result whose images are right (`1`) or wrong (`0`) one by one."""
    outcomes = [digit == "1" for digit in right]
    share = sum(outcomes) / len(outcomes)
    accuracy = Accuracy(
        images=len(outcomes),
        top1=share if labels else None,
        agreement_with_float32=share,
        policy=policy,
        images_hash=images_hash,
        right=pack_outcomes(outcomes),
    )
    return make_result(mac=mac).model_copy(update={"accuracy": accuracy})


def printed(*results: Result) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    render_comparison(list(results), console)
    return console.export_text()


# -- outcomes in a result ---------------------------------------------------------------------------------


@pytest.mark.parametrize("right", ["1", "0", "10110", "11111111", "111111110", "0" * 17 + "1"])
def test_outcomes_are_packed_and_read_back(right: str) -> None:
    accuracy = result(right).accuracy
    assert accuracy is not None
    assert accuracy.outcomes == [digit == "1" for digit in right]
    assert len(accuracy.right) == 2 * -(-len(right) // 8)


def test_the_first_image_is_the_highest_bit() -> None:
    assert pack_outcomes([True, False, False, False, False, False, False, True, True]) == "8180"


def test_a_run_says_which_images_are_right() -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(70)
    run_of_60 = infer(model, data.first(60), "int4 x int4", "max")
    accuracy, labels = run_of_60.accuracy, data.labels
    assert labels is not None
    assert accuracy.outcomes == (run_of_60.logits.argmax(axis=1) == labels[:60]).tolist()
    assert accuracy.top1 == sum(accuracy.outcomes) / 60
    exact = (run_of_60.float32_logits.argmax(axis=1) == labels[:60]).tolist()
    above = accuracy.above_float32
    assert above is not None
    gained = sum(one and not two for one, two in zip(accuracy.outcomes, exact, strict=True))
    lost = sum(two and not one for one, two in zip(accuracy.outcomes, exact, strict=True))
    assert above == paired_difference(gained, lost, 60)
    assert (accuracy.data, accuracy.images) == ("fashion_mnist_1000", 60)
    again = infer(model, data.first(60), "int8").accuracy
    assert accuracy.images_hash == again.images_hash
    assert infer(model, data, "int8").accuracy.images_hash != accuracy.images_hash


def test_without_labels_outcomes_are_agreement_with_float32() -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(50)
    unlabelled = type(data)(data.source, data.images, None, data.calibration)
    found = infer(model, unlabelled, "int4 x int4", "max")
    same = found.logits.argmax(axis=1) == found.float32_logits.argmax(axis=1)
    assert found.accuracy.outcomes == same.tolist()
    assert found.accuracy.above_float32 is None
    assert found.accuracy.images_hash != infer(model, data, "int8").accuracy.images_hash


# -- comparisons ------------------------------------------------------------------------------------------


def test_differences_are_points_on_the_same_images() -> None:
    first, second = result("1" * 90 + "0" * 10), result("1" * 80 + "0" * 17 + "111", "elma8")
    comparison = compare_results([first, second])
    place = [metric.key for metric in comparison.metrics].index("top1")
    own, cell = (variant.cells[place] for variant in comparison.variants)
    assert cell.difference == paired_difference(3, 10, 100)
    assert cell.relative is None
    assert cell.beside_first == f"-7.0 ±{paired_difference(3, 10, 100).margin:.1f}"
    assert own.beside_first == "+0.0"
    rows = comparison_rows(comparison)
    assert "top1_relative" not in rows[1]
    assert rows[1]["top1_points"] == -7
    assert (rows[1]["top1_points_low"], rows[1]["top1_points_high"]) == (
        paired_difference(3, 10, 100).low,
        paired_difference(3, 10, 100).high,
    )
    assert (rows[1]["policy"], rows[1]["images"]) == ("max", 100)
    assert (rows[0]["top1_points"], rows[0]["top1_points_low"]) == (0, 0)


@pytest.mark.parametrize(
    ("others", "best"),
    [
        (["1" * 60 + "0" * 40], True),  # 30 points below on the same images
        (["1" * 89 + "0" * 11], False),  # one image is noise
        (["0" * 45 + "1" * 55, "1" * 88 + "0" * 12], False),  # far above one, not above the other
        (["0" * 45 + "1" * 55, "1" * 50 + "0" * 50], True),
        (["1" * 90 + "0" * 10], False),
    ],
)
def test_the_best_is_marked_only_where_it_exceeds_the_noise(others: list[str], best: bool) -> None:
    results = [result(right, f"mac{i}") for i, right in enumerate(["1" * 90 + "0" * 10, *others])]
    comparison = compare_results(results)
    place = [metric.key for metric in comparison.metrics].index("top1")
    assert [variant.cells[place].best for variant in comparison.variants] == [best] + [False] * len(others)


def test_accuracies_of_different_images_are_not_compared() -> None:
    first = result("1" * 90 + "0" * 10)
    for other in (
        result("1" * 50 + "0" * 50, "elma8", images_hash="b"),
        result("1" * 25 + "0" * 25, "elma8"),
        make_result(mac="elma8", accuracy=True),
    ):
        comparison = compare_results([first, other])
        place = [metric.key for metric in comparison.metrics].index("top1")
        own, cell = (variant.cells[place] for variant in comparison.variants)
        assert (own.best, cell.best, cell.difference, cell.beside_first) == (False, False, None, "–")
        assert "accuracies on different images are not compared" in comparison.rules
    assert "different images" not in compare_results([first, result("1" * 100, "elma8")]).rules
    assert compare_results([make_result(), make_result(mac="elma8")]).rules == ""


def test_agreement_stands_in_for_top_1_with_its_own_noise() -> None:
    comparison = compare_results(
        [result("1" * 90 + "0" * 10, labels=False), result("1" * 50 + "0" * 50, "elma8", labels=False)]
    )
    place = [metric.key for metric in comparison.metrics].index("agreement_with_float32")
    assert comparison.variants[0].cells[place].best
    assert comparison.variants[1].cells[place].difference == paired_difference(0, 40, 100)


def test_a_page_shows_policy_and_images_of_every_row() -> None:
    first = result("1" * 90 + "0" * 10, policy="mse+gptq")
    second = result("1" * 60 + "0" * 40, "elma8", policy="drop_in")
    margin = paired_difference(0, 30, 100).margin
    text = printed(first, second)
    for part in (
        "mse+gptq, 100 images",
        "drop_in, 100 images",
        "*90.0",
        f"-30.0 ±{margin:.1f}",
        "95 % interval",
    ):
        assert part in text
    page = render_html([first, second])
    for part in ("mse+gptq, 100 images", "drop_in, 100 images", f"-30.0 ±{margin:.1f}", "95 % interval"):
        assert part in page
    assert "images" not in printed(make_result(), make_result(mac="elma8"))


def test_policies_tell_results_apart_where_macs_do_not() -> None:
    mse, largest = result("1" * 10, policy="mse"), result("1" * 10, policy="max")
    assert variant_names([mse, largest]) == ["mse", "max"]
    assert variant_names([mse, largest, result("1", "elma8", policy="max")]) == [
        "int8 · mse",
        "int8 · max",
        "elma8 · max",
    ]
    assert variant_names([mse, mse]) == ["int8_32x32 · int8 #1", "int8_32x32 · int8 #2"]
    same = [make_result(arch_name="x"), make_result(mac="elma8", arch_name="x")]
    assert variant_names(same) == ["int8", "elma8"]
    assert variant_names([make_result("a"), make_result("b")]) == ["a", "b"]
    several = [
        make_result(net, mac, arch_name="x")
        for net, mac in zip("aab", ("int8", "elma8", "int8"), strict=True)
    ]
    assert variant_names(several) == [
        "a · int8",
        "a · elma8",
        "b · int8",
    ]


# -- policies by MAC --------------------------------------------------------------------------------------


def test_compare_takes_a_policy_for_each_mac(tmp_path: Path, capsys: Capture) -> None:
    table, kept = tmp_path / "out.csv", tmp_path / "kept"
    given = ["-p", "mse+bias_correction", "-p", "elma8=drop_in", "-p", "int4 x int4=mse+smooth=0.7"]
    macs = ["-m", "int8", "-m", "elma8", "-m", "int4 x int4"]
    places: list[str | Path] = ["--csv", table, "--out", kept, "--json"]
    outcome = run(capsys, "compare", "lenet5_fashion", *DATA, "-n", "40", *macs, *given, *places)
    outcome.must_succeed()
    variants = json.loads(outcome.stdout)["variants"]
    policies = ["mse+bias_correction", "drop_in", "mse+smooth=0.7"]
    assert [variant["policy"] for variant in variants] == policies
    assert [variant["images"] for variant in variants] == [40, 40, 40]
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [row["policy"] for row in rows] == policies
    results = [load_result(path) for path in sorted(kept.iterdir())]
    assert [each.accuracy.policy for each in results if each.accuracy] == policies
    for each, variant, policy in zip(results, variants, policies, strict=True):
        alone = simulate(
            "lenet5_fashion", mac=variant["mac"], tensors=Tensors("fashion_mnist_1000", policy, 40)
        )
        assert each.accuracy == alone.accuracy


def test_without_a_policy_for_all_the_others_have_their_defaults(capsys: Capture) -> None:
    arguments = ["compare", "lenet5_fashion", *DATA, "-n", "20", "-m", "int8", "-m", "elma8", "--json"]
    outcome = run(capsys, *arguments, "-p", "int8=mse").must_succeed()
    assert [variant["policy"] for variant in json.loads(outcome.stdout)["variants"]] == ["mse", "drop_in"]


def test_one_policy_for_all_is_warned_of_where_it_does_not_suit(capsys: Capture) -> None:
    arguments = ["compare", "lenet5_fashion", *DATA, "-n", "20", "-m", "int8", "-m", "elma8"]
    shown = " ".join(run(capsys, *arguments, "-p", "max").must_succeed().stdout.split())
    assert "! elma8: policy max does not calibrate elma8" in shown
    assert "the default for elma8 is drop_in" in shown
    assert "sums left the accumulator of elma8 (wrap)" in shown
    fine = run(capsys, *arguments, "-p", "mse").must_succeed().stdout
    assert "!" not in fine


@pytest.mark.parametrize(
    ("policies", "parts"),
    [
        (["-p", "maxx"], ["unknown policy", "maxx"]),
        (["-p", "int8=maxx"], ["unknown policy", "maxx"]),
        (["-p", "elma9=max"], ["is a policy for a MAC that no variant has", "elma9=max", "elma8"]),
        (["-p", "max", "-p", "mse"], ["more than one policy for all MACs", "max, mse", "MAC=POLICY"]),
        (["-p", "int8=max", "-p", "int8=mse"], ["two policies for one MAC", "int8"]),
    ],
)
def test_policies_that_cannot_be_are_one_message(
    policies: list[str], parts: list[str], capsys: Capture
) -> None:
    arguments = ["compare", "lenet5_fashion", *DATA, "-m", "int8", "-m", "elma8", *policies]
    run(capsys, *arguments).must_refuse(*parts)


@pytest.mark.parametrize("command", ["compare", "simulate"])
@pytest.mark.parametrize("option", [("--policy", "max"), ("--images", "5")])
def test_what_is_for_images_needs_images(command: str, option: tuple[str, str], capsys: Capture) -> None:
    run(capsys, command, "lenet5_fashion", *option).must_refuse(option[0], "--data")


def test_a_sweep_takes_a_policy_for_each_mac(tmp_path: Path, capsys: Capture) -> None:
    spec = tmp_path / "formats.yaml"
    spec.write_text(
        "networks: [lenet5_fashion]\nmacs: [int8, elma8]\ndata: fashion_mnist_1000\nimages: 30\n"
        "policy: {int8: mse, elma8: max}\n"
    )
    shown = run(capsys, "sweep", spec, "--jobs", "1", "--csv", tmp_path / "out.csv").must_succeed()
    assert "1 of 2 points: policy max does not calibrate elma8" in " ".join(shown.stdout.split())
    points = json.loads(run(capsys, "sweep", spec, "--jobs", "1", "--json").must_succeed().stdout)["points"]
    assert [(point["policy"], point["images"]) for point in points] == [("mse", 30), ("max", 30)]
    assert (points[0]["top1_points"], points[1]["warnings"].count("elma8") >= 2) == (0, True)
    assert points[1]["top1_points_high"] < -20
    assert points[0]["warnings"] == ""
    # A point whose policy did not change is not computed again: its file stays as it was.
    store = tmp_path / "formats.store" / "points"
    before = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    spec.write_text(spec.read_text().replace("elma8: max", "elma8: drop_in"))
    run(capsys, "sweep", spec, "--jobs", "1", "-q").must_succeed()
    after = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    assert before.items() <= after.items()
    assert len(after) == 3


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ("policy: max\n", ["are for networks that run on data"]),
        ("images: 3\n", ["are for networks that run on data"]),
        ("data: fashion_mnist_1000\npolicy: {elma8: max}\n", ["a MAC that no variant has", "elma8=max"]),
        ("data: fashion_mnist_1000\npolicy: {int8: maxx}\n", ["unknown policy", "maxx"]),
    ],
)
def test_a_sweep_whose_policies_cannot_be_is_refused(
    lines: str, parts: list[str], tmp_path: Path, capsys: Capture
) -> None:
    spec = tmp_path / "formats.yaml"
    spec.write_text(f"networks: [lenet5_fashion]\nmacs: [int8]\n{lines}")
    run(capsys, "sweep", spec).must_refuse(*parts)


# -- sums that left their accumulator ---------------------------------------------------------------------


def test_a_run_with_tensors_says_whether_sums_left_their_accumulator() -> None:
    narrow = {"activation": "int8", "weight": "int8", "accumulator": {"kind": "fixed", "bits": 18, "lsb": 0}}
    overrides = {"macs": {"narrow": narrow}, "array.mac": "narrow"}
    possible = simulate("lenet5_fashion", overrides=overrides)
    assert any("may overflow" in warning for warning in possible.warnings)
    assert all(layer.overflowed_sums is None for layer in possible.layers)
    ran = simulate("lenet5_fashion", overrides=overrides, tensors=Tensors("fashion_mnist_1000", "max", 20))
    assert not any("may overflow" in warning for warning in ran.warnings)
    counts = {layer.name: layer.overflowed_sums for layer in ran.layers}
    wrong = sum(count or 0 for count in counts.values())
    assert wrong > 0
    (warning,) = [each for each in ran.warnings if "left the accumulator of narrow (wrap)" in each]
    assert f"{wrong:,} of " in warning
    sums = 20 * sum(layer.m * layer.n for layer in ran.layers)
    note = f"accumulators: {wrong:,} of {sums:,} sums over 20 images of fashion_mnist_1000 left them"
    assert note in ran.sources.notes


def test_where_no_sum_left_nothing_is_warned_of() -> None:
    possible = simulate("lenet5_fashion", mac="elma8")
    assert any("may overflow" in warning for warning in possible.warnings)
    ran = simulate("lenet5_fashion", mac="elma8", tensors=Tensors("fashion_mnist_1000", images=20))
    assert [layer.overflowed_sums for layer in ran.layers] == [0] * len(ran.layers)
    assert ran.warnings == []
    assert any(note.startswith("accumulators: 0 of ") for note in ran.sources.notes)


def test_a_trace_says_it_too(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "trace"
    run(
        capsys, "trace", "lenet5_fashion", "-o", folder, "--mac", "elma8", "-p", "max", "-n", "2", "-q"
    ).must_succeed()
    outcome = run(capsys, "simulate", folder, "--json").must_succeed()
    replayed = Result.model_validate(json.loads(outcome.stdout))
    assert sum(layer.overflowed_sums or 0 for layer in replayed.layers) > 1000
    assert any("left the accumulator of elma8 (wrap)" in warning for warning in replayed.warnings)
    assert any("over the 2 recorded images left them" in note for note in replayed.sources.notes)


def test_infer_says_what_to_beware_of(capsys: Capture) -> None:
    arguments = ["infer", "lenet5_fashion", "--mac", "elma8", "-p", "max", "-n", "20"]
    document = json.loads(run(capsys, *arguments, "--json").must_succeed().stdout)
    assert len(document["warnings"]) == 2
    outside = sum(layer["outside"] for layer in document["sums"].values())
    assert f"{outside:,} of " in document["warnings"][1]
    shown = " ".join(run(capsys, *arguments).must_succeed().stdout.split())
    assert "! policy max does not calibrate elma8" in shown
    assert "points above float32 -" in shown


def test_tensors_for_macs_that_are_not_there_are_refused() -> None:
    with pytest.raises(UserError, match="policy is for a MAC that no layer has"):
        simulate(
            "lenet5_fashion", tensors=Tensors("fashion_mnist_1000", images=2, policies=(("fp8", "max"),))
        )


def test_an_architecture_is_named_with_its_mac_where_that_is_not_its_own() -> None:
    other, own = make_result(mac="e3m4 x e3m4", arch_name="int8_32x32"), make_result(mac="elma8")
    assert variant_names([other, own]) == ["int8_32x32 · e3m4 x e3m4", "elma8_32x32"]
    assert variant_names([other, make_result("b", "elma8", arch_name="int8_32x32")]) == ["toynet", "b"]
    assert variant_names([other, make_result(mac="int8", arch_name="mine")]) == [
        "int8_32x32 · e3m4 x e3m4",
        "mine",
    ]
    several = [other, make_result(mac="elma8"), make_result("b", "elma16")]
    assert variant_names(several) == [
        "toynet · int8_32x32 · e3m4 x e3m4",
        "toynet · elma8_32x32",
        "b · elma16_32x32",
    ]
