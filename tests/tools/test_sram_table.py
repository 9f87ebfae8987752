"""Does the bundled SRAM table follow from its figures, and does it predict memories that it was not given?"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.cost.price_tables import load_table
from tools import sram_plot, sram_table
from tools.sram_fit import Term, fitted_terms, leave_one_out, non_negative_least_squares

Floats = npt.NDArray[np.float64]

KIB = [1.0, 2, 8, 32, 64, 256, 1024, 4096]
BITS = [32.0, 64, 128, 256, 512, 64, 32, 128]


def test_terms_that_made_the_figures_are_found_again() -> None:
    made = [Term(0.5, 1, 0.01), Term(1, 0, 3.0), Term(0, 0, 2.0)]
    figures = [sum(term.at(kib, bits) for term in made) for kib, bits in zip(KIB, BITS, strict=True)]
    offered = [Term(0.5, 1), Term(1, 0), Term(0, 0), Term(1, 1), Term(0.25, 0.5)]
    found = {
        (t.capacity_exponent, t.word_exponent): t.coefficient
        for t in fitted_terms(KIB, BITS, figures, offered)
    }
    assert found == {
        (0.5, 1): pytest.approx(0.01, rel=1e-6),
        (1, 0): pytest.approx(3.0, rel=1e-6),
        (0, 0): pytest.approx(2.0, rel=1e-6),
    }
    assert leave_one_out(KIB, BITS, figures, made).largest < 1e-6


def test_no_coefficient_is_negative_where_figures_fall() -> None:
    """Figures that fall with capacity: the best growing term is none, a constant is left."""
    figures = [8.0, 7, 6, 5, 4, 3, 2, 1]
    (constant,) = fitted_terms(KIB, BITS, figures, [Term(0, 0), Term(1, 0), Term(0.5, 0.5)])
    assert (constant.capacity_exponent, constant.word_exponent) == (0, 0)
    # least squares of log errors: the geometric mean, 40320^(1/8)
    assert constant.coefficient == pytest.approx(40320 ** (1 / 8), rel=1e-6)


def test_a_figure_left_out_is_predicted_from_the_others_alone() -> None:
    """A constant fitted to 1 and 4 is 2, to 2 and 4 is 8^0.5, to 1 and 2 is 2^0.5."""
    errors = leave_one_out([1, 1, 1], [8, 8, 8], [2.0, 1.0, 4.0], [Term(0, 0)])
    assert errors.errors == pytest.approx(np.array([0, 8**0.5 - 1, 1 - 2**0.5 / 4]), abs=1e-9)
    assert errors.median == pytest.approx(1 - 2**0.5 / 4)
    assert errors.largest == pytest.approx(8**0.5 - 1)
    # the 90th percentile of three lies 0.8 of the way from the second to the third
    second, third = 1 - 2**0.5 / 4, 8**0.5 - 1
    assert errors.most == pytest.approx(second + 0.8 * (third - second))


def best_of_all_supports(matrix: Floats, wanted: Floats) -> float:
    """The least residual of a vector without negative entries, by trying every set of entries above zero."""
    columns = range(matrix.shape[1])
    residuals = [float(np.linalg.norm(wanted))]
    for size in range(1, matrix.shape[1] + 1):
        for support in itertools.combinations(columns, size):
            part = matrix[:, support]
            found = np.linalg.lstsq(part, wanted, rcond=None)[0]
            if (found >= 0).all():
                residuals.append(float(np.linalg.norm(part @ found - wanted)))
    return min(residuals)


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), rows=st.integers(4, 9), columns=st.integers(1, 6))
def test_no_other_vector_without_negative_entries_is_nearer(seed: int, rows: int, columns: int) -> None:
    """Also where columns nearly agree, as powers of a size do, so that entries rise first and fall again."""
    random = np.random.default_rng(seed)
    matrix = random.random((rows, 1)) + 0.3 * random.standard_normal((rows, columns))
    wanted = random.random(rows) + 0.2 * random.standard_normal(rows)
    found = non_negative_least_squares(matrix, wanted)
    assert (found >= 0).all()
    residual = float(np.linalg.norm(matrix @ found - wanted))
    assert residual <= best_of_all_supports(matrix, wanted) + 1e-9


def test_a_term_is_a_product_of_powers() -> None:
    """3 x 16^0.5 x 64^0.25 = 3 x 4 x 2.828; without a coefficient 1 is taken."""
    assert Term(0.5, 0.25, 3).at(16, 64) == pytest.approx(3 * 4 * 8**0.5)
    assert Term(1, 0).at(5, 64) == 5


@pytest.mark.parametrize("figures", [[], [1.0, 0.0]])
def test_a_fit_needs_positive_figures(figures: list[float]) -> None:
    with pytest.raises(ValueError, match="all of them positive"):
        fitted_terms([1.0] * len(figures), [8.0] * len(figures), figures, [Term(0, 0)])


FIGURES = sram_table.read_figures(sram_table.FIGURES, "lstp", "hp")
FITS = {fit.quantity.action: fit for fit in sram_table.fits(FIGURES)}


def test_the_list_holds_the_memories_that_the_table_names() -> None:
    assert len(FIGURES) == 64
    (one,) = [row for row in FIGURES if (row["capacity_kib"], row["word_bits"]) == (256, 256)]
    assert one == {
        "capacity_kib": 256, "word_bits": 256, "read_pj": 41.602, "write_pj": 38.483,
        "leakage_mw": 2.3247, "area_um2": 401480, "access_ns": 0.90093,
    }  # fmt: skip


@pytest.mark.parametrize("action", ["read", "write", "leakage", "area", "access"])
def test_memories_left_out_are_predicted_within_what_the_table_says(action: str) -> None:
    errors = FITS[action].errors
    assert errors.median <= 0.12
    assert errors.most <= 0.50
    rows = [row for row in load_table("sram_28nm").rows.values() if row.action == action]
    assert [row.uncertainty for row in rows] == pytest.approx([errors.most] * len(rows), abs=6e-4)


@pytest.mark.parametrize("action", ["read", "write", "leakage", "area", "access"])
def test_the_bundled_table_is_what_the_figures_give(action: str) -> None:
    """Energies from the 0.86 V of the periphery to 0.81 V: x 0.88710."""
    factor = (0.81 / 0.86) ** 2 if action in {"read", "write"} else 1.0
    rows = [row for row in load_table("sram_28nm").rows.values() if row.action == action]
    assert [(row.capacity_exponent, row.word_exponent) for row in rows] == [
        (term.capacity_exponent, term.word_exponent) for term in FITS[action].terms
    ]
    for row, term in zip(rows, FITS[action].terms, strict=True):
        assert row.value == pytest.approx(term.coefficient * factor, rel=1e-3)
        assert row.status == "model"
        assert row.conditions.temperature_c == 57


def test_exponents_keep_areas_and_energies_growing() -> None:
    for action in ("read", "write", "area", "access"):
        assert all(min(t.capacity_exponent, t.word_exponent) >= 0 for t in FITS[action].terms)
    assert all(t.capacity_exponent + t.word_exponent <= 1 for t in FITS["area"].terms)
    assert all(t.capacity_exponent > 0 for t in FITS["leakage"].terms)


def test_the_command_writes_checks_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sram_hp.yaml"
    make = ["--cells", "hp", "--periphery", "hp", "--out", str(out)]
    assert sram_table.main([*make, "--check"]) == 1
    assert sram_table.main(make) == 0
    assert sram_table.main([*make, "--check"]) == 0
    table = load_table(str(out))
    assert table.name == "sram_hp"
    assert "high-performance cells, high-performance periphery" in table.description
    assert sram_table.main(["--cells", "hp", "--periphery", "lop"]) == 2
    assert "no memories with hp cells and lop periphery" in capsys.readouterr().err


def test_the_page_has_every_size_of_the_figure_and_marks_what_is_extrapolated() -> None:
    rows = [
        line for line in sram_plot.sram_page().splitlines() if line.startswith("| ") and "KiB" not in line
    ]
    assert len(rows) == 10 * 6
    assert [row for row in rows if "\\*" in row] == [row for row in rows if row.startswith("| 8192")]
    one = next(row for row in rows if row.startswith("| 256 | 256 |"))
    assert one == "| 256 | 256 | 1 | 33 | 36.8 | 1.03 | 0.382 | 3.03 | 0.922 |"
    picture = sram_plot.sram_figure()
    assert picture == sram_plot.sram_figure()
    assert all(f">{bits} bit<".encode() in picture for bits in (64, 2048))


def by_coordinates(matrix: Floats, wanted: Floats, sweeps: int = 4000) -> Floats:
    """Least squares without negative entries by coordinate descent, slow and simple."""
    scale = np.linalg.norm(matrix, axis=0)
    gram = (matrix / scale).T @ (matrix / scale)
    aim = (matrix / scale).T @ wanted
    found = np.full(scale.shape, 0.1)
    for _ in range(sweeps):
        before = found.copy()
        for place in range(found.size):
            found[place] = max(0.0, found[place] + (aim[place] - gram[place] @ found) / gram[place, place])
        if np.abs(found - before).max() < 1e-10:
            break
    return np.asarray(found / scale, dtype=np.float64)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "column", "covered"),
    [
        ("write", "write_pj", 57),
        ("leakage", "leakage_mw", 53),
        ("area", "area_um2", 58),
        ("access", "access_ns", 56),
    ],
)
def test_intervals_of_memories_left_out_cover_eight_to_ten_of_ten(
    action: str, column: str, covered: int
) -> None:
    """Each memory predicted from the other 63 by another solver; its interval is the prediction's own."""
    rows = [row for row in load_table("sram_28nm").rows.values() if row.action == action]
    uncertainty = rows[0].uncertainty
    assert uncertainty is not None
    quantity = FITS[action].quantity
    kib, bits, wanted = (
        np.array([row[name] for row in FIGURES]) for name in ("capacity_kib", "word_bits", column)
    )
    columns = np.array([kib**a * bits**b for a, b in quantity.exponents]).T
    inside = 0
    for place in range(len(wanted)):
        others = np.arange(len(wanted)) != place
        here = columns[others]
        found = by_coordinates(here / wanted[others, None], np.ones(here.shape[0]))
        for _ in range(20):
            now = here @ found
            step = by_coordinates(here / now[:, None], 1 - np.log(now / wanted[others])) - found
            found += 0.5 * step
        predicted = float(columns[place] @ found)
        inside += abs(wanted[place] - predicted) <= uncertainty * predicted
    assert inside == covered
    assert 0.8 <= inside / len(wanted) <= 1.0
