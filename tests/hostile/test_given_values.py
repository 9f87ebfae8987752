"""What Python code gives in place of text and files: copied within limits, or refused in a sentence."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from simulator import api
from simulator.api import Tensors
from simulator.arch import load_arch
from simulator.cost.price_tables import load_table
from simulator.foundation import UserError
from simulator.foundation.given_values import MOST_VALUES, override_values, path_text, plain_copy
from simulator.foundation.messages import quoted
from simulator.foundation.resources import data_folder
from simulator.inference import load_data, load_model
from simulator.inference.policies import get_policy
from simulator.numerics import get_mac
from simulator.result import load_result
from simulator.sweep.spec import load_spec
from simulator.workload import load_network


def nested(levels: int, kind: str) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value} if kind == "mapping" else [value]
    return value


def inside_itself(kind: str) -> Any:
    value: Any = {} if kind == "mapping" else []
    if kind == "mapping":
        value["a"] = value
    else:
        value.append(value)
    return value


@pytest.mark.parametrize("kind", ["mapping", "list"])
def test_64_levels_are_copied_and_65_are_not(kind: str) -> None:
    value = nested(64, kind)
    copied = plain_copy(value)
    assert copied == value
    assert copied is not value
    for levels in (65, 900, 100_000):
        with pytest.raises(UserError, match=r"^here: is nested too deeply; allowed: 64 levels$"):
            plain_copy(nested(levels, kind), location="here")
    with pytest.raises(UserError, match="nested too deeply"):
        plain_copy(inside_itself(kind))


def test_what_is_copied_is_not_shared() -> None:
    inner, leaf = [1, (2, [3])], object()
    copied = plain_copy(MappingProxyType(OrderedDict(a=inner, b=leaf)))
    assert type(copied) is dict
    assert copied == {"a": [1, (2, [3])], "b": leaf}
    inner[1][1].append(4)  # type: ignore[index]
    assert copied["a"] == [1, (2, [3])]


def test_parts_that_stand_in_many_places_count_in_each() -> None:
    """Twenty lists of two, each in both places of the next: 2^21 - 1 values."""
    value: Any = 1
    for _ in range(20):
        value = [value, value]
    with pytest.raises(UserError, match=r"holds too many values; allowed: 1,000,000 in all"):
        plain_copy(value)
    most = [0] * (MOST_VALUES - 1)  # the list counts too
    assert plain_copy(most) == most
    with pytest.raises(UserError, match="holds too many values"):
        plain_copy([0] * MOST_VALUES)


@pytest.mark.parametrize("given", [[], "array.rows", 7, {3: 4}, {None: 1}, {b"array.rows": 4}])
def test_overrides_are_a_mapping_of_text(given: Any) -> None:
    with pytest.raises(UserError, match=r"^overrides (are a mapping of fields|name fields in text) \(got "):
        override_values(given)
    with pytest.raises(UserError):
        load_arch("int8_32x32", given)
    with pytest.raises(UserError):
        api.simulate("lenet5_fashion", overrides=given)


@pytest.mark.parametrize(
    "field", ["array.rows", "macs", "macs.mine", "macs.mine.accumulator", "layers", "sram"]
)
@pytest.mark.parametrize("kind", ["mapping", "list"])
@pytest.mark.parametrize("levels", [65, 900, 100_000, None])
def test_nested_overrides_are_refused_with_their_field(field: str, kind: str, levels: int | None) -> None:
    value = inside_itself(kind) if levels is None else nested(levels, kind)
    with pytest.raises(UserError, match=rf"^{field}: is nested too deeply"):
        load_arch("int8_32x32", {field: value})


TAKERS: dict[str, Callable[[Any], object]] = {
    "network": load_network,
    "architecture": load_arch,
    "model": load_model,
    "policy": get_policy,
    "mac": get_mac,
    "api network": api.simulate,
    "api architecture": lambda value: api.simulate("lenet5_fashion", value),
    "api mac": lambda value: api.simulate("lenet5_fashion", mac=value),
    "api model": lambda value: api.infer(value, "fashion_mnist_1000"),
    "api data": lambda value: api.infer("lenet5_fashion", value),
    "api data over processes": lambda value: api.infer("lenet5_fashion", value, jobs=1),
    "api compared": lambda value: api.compare(value),
}


NO_NAMES = {
    "deep mapping": nested(100_000, "mapping"),
    "deep list": nested(900, "list"),
    "mapping in itself": inside_itself("mapping"),
    "list in itself": inside_itself("list"),
    "number": 7,
    "bytes": b"int8",
    "nothing": {},
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("value", NO_NAMES.values(), ids=NO_NAMES)
def test_what_is_no_name_is_refused_in_a_sentence(taker: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        TAKERS[taker](value)
    assert len(str(caught.value)) < 1500
    assert str(caught.value).isprintable()


def test_names_are_text_or_paths() -> None:
    assert path_text("resnet50", what="a network") == "resnet50"
    assert path_text(Path("a") / "b.yaml", what="a network") == str(Path("a") / "b.yaml")
    with pytest.raises(UserError, match=r"^a network is a name or a path \(got 7\)$"):
        path_text(7, what="a network")


def _data(**settings: Any) -> object:
    return load_data("fashion_mnist_1000", load_model("lenet5_fashion"), **settings)


OTHER_TYPES: dict[str, Callable[[], object]] = {
    "labels": lambda: _data(labels=np.array([1, 2])),
    "preprocess": lambda: _data(preprocess=frozenset()),
    "result": lambda: load_result(7),  # type: ignore[arg-type]
    "price table": lambda: load_table({}),  # type: ignore[arg-type]
    "sweep": lambda: load_spec(2.5),  # type: ignore[arg-type]
    "SCALE-Sim": lambda: api.simulate("lenet5_fashion", scalesim_cfg=7),  # type: ignore[arg-type]
    "batch": lambda: api.compare("lenet5_fashion", batch=bytearray(b"x"), jobs=1),  # type: ignore[arg-type]
    "overrides compared": lambda: api.compare("lenet5_fashion", overrides=7, jobs=1),  # type: ignore[arg-type]
    "policies": lambda: Tensors("fashion_mnist_1000", policies=2.5),  # type: ignore[arg-type]
    "pairs": lambda: Tensors("fashion_mnist_1000", policies=(("int8", 3),)),  # type: ignore[arg-type]
    "images": lambda: Tensors("fashion_mnist_1000", images=2.5),  # type: ignore[arg-type]
    "policy": lambda: Tensors("fashion_mnist_1000", policy=[]),  # type: ignore[arg-type]
    "save": lambda: api.simulate("lenet5_fashion").save(...),  # type: ignore[arg-type]
    "plot": lambda: api.simulate("lenet5_fashion").plot({}),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", OTHER_TYPES)
def test_other_types_are_refused_in_a_sentence(what: str) -> None:
    with pytest.raises(UserError) as caught:
        OTHER_TYPES[what]()
    assert str(caught.value).isprintable()


def test_an_object_that_cannot_be_shown_is_named_by_its_type() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError

    assert quoted(Mute()) == "<Mute>"
    assert quoted([1, Mute()]) == "[1, <Mute>]"
    with pytest.raises(UserError, match=r"\(got <Mute>\)"):
        get_policy(Mute())  # type: ignore[arg-type]


def test_results_tables_and_sweeps_take_text_and_paths(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    api.simulate("lenet5_fashion").save(str(file))
    assert load_result(str(file)) == load_result(file)
    assert load_table("dram") == load_table(data_folder("energy_tables") / "dram.yaml")
