"""Is a format named by one spelling, and everything that only looks like it refused?"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.foundation import UserError
from simulator.numerics import get_format, get_mac
from simulator.numerics.formats import example_specs

OTHER_DIGITS = {  # full-width, Arabic-Indic, Devanagari, superscript, circled, mathematical bold
    "0": "０٠०⁰⓪𝟎",
    "1": "１١१¹①𝟏",
    "2": "２٢२²②𝟐",
    "3": "３٣३³③𝟑",
    "4": "４٤४⁴④𝟒",
    "5": "５٥५⁵⑤𝟓",
    "6": "６٦६⁶⑥𝟔",
    "7": "７٧७⁷⑦𝟕",
    "8": "８٨८⁸⑧𝟖",
    "9": "９٩९⁹⑨𝟗",
}
SPECS = sorted(set(example_specs()) | {"e4m3b-3", "log8.1(5,8,7)", "log16(12,11,10)", "uint16", "ufix8.0"})
NAMED = ("fp16", "bf16", "tf32", "fp32", "fp64", "e4m3fn", "e5m2ieee", "e5m2sat", "e4m3fnuz", "e5m2fnuz")


def refused(spec: str) -> bool:
    try:
        get_format(spec)
    except UserError:
        return True
    return False


@pytest.mark.parametrize("spec", SPECS)
def test_capitals_and_blanks_outside_numbers_do_not_matter(spec: str) -> None:
    fmt = get_format(spec)
    spaced = re.sub(r"(?<=[0-9])(?=[^0-9])|(?<=[^0-9])(?=[0-9.(,)])", " ", spec)
    for same in (spec, spec.upper(), f"  {spec}\t", spaced, f"{spec}\n", spaced.replace(" ", " \t ")):
        assert get_format(same) == fmt, same


@pytest.mark.parametrize("spec", SPECS)
def test_numbers_are_ascii_digits(spec: str) -> None:
    for position, character in enumerate(spec):
        for other in OTHER_DIGITS.get(character, ""):
            assert refused(spec[:position] + other + spec[position + 1 :]), other


@pytest.mark.parametrize("spec", SPECS)
def test_numbers_have_no_leading_zeros_signs_or_blanks_inside(spec: str) -> None:
    for number in re.finditer(r"[0-9]+", spec):
        start, end = number.span()
        for prefix in ("0", "00", "+", "_", "0x"):
            assert refused(spec[:start] + prefix + spec[start:]), prefix
        if spec[start - 1] != "b":  # a bias may be negative
            assert refused(spec[:start] + "-" + spec[start:])
        for middle in range(start + 1, end):
            for blank in (" ", "\t", "_", ",", "\u00a0"):
                assert refused(spec[:middle] + blank + spec[middle:])


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003", "\u3000", "\u200b", "\ufeff", "\u2028"])
def test_blanks_are_ascii_too(blank: str) -> None:
    assert refused(f"{blank}int8")
    assert refused(f"int{blank}8")
    assert refused(f"int8{blank}")


@pytest.mark.parametrize(
    "spec",
    ["int08", "uint04", "int８", "fix8.05", "fix08.5", "e04m3", "e4m03", "e4m3b09", "e4m3b-0", "e4m3b-09",
     "e4m3b--3", "e4m3b+3", "posit08.1", "posit8.01", "log08.1", "log8.01", "log8.1(05,8,7)", "log8.1(5,8,)",
     "log016", "log16(011,11,10)", "fp016", "int", "int-8", "int8.0", "int8x", "xint8", "", " ", "8",
     "int 1 6", "fp1 6", "tf3 2", "e4m3f n1", "int8\x00", "İnt8", "ﬁx8.5", "eé4m3", "int8;", "int1e1"],
)  # fmt: skip
def test_what_only_looks_like_a_format_is_refused(spec: str) -> None:
    with pytest.raises(UserError) as caught:
        get_format(spec)
    assert repr(spec) in str(caught.value)


def test_characters_that_look_alike_are_named_as_what_is_wrong() -> None:
    with pytest.raises(UserError, match="written in ASCII characters"):
        get_format("int８")


@pytest.mark.parametrize("digits", [5, 50, 5000])
def test_endless_numbers_are_refused_and_not_computed(digits: int) -> None:
    for spec in ("int{}", "e4m3b{}", "e4m3b-{}", "posit8.{}", "log{}.1", "fix8.{}"):
        assert refused(spec.format("9" * digits))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SPECS), st.data())
def test_one_changed_character_never_names_the_same_format(spec: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(spec) - 1))
    character = data.draw(st.characters(exclude_characters=spec[position].lower() + spec[position].upper()))
    changed = spec[:position] + character + spec[position + 1 :]
    if character.isspace() and character.isascii() and (position in (0, len(spec) - 1)):
        changed = changed.strip()  # blanks around a name do not matter
    try:
        fmt = get_format(changed)
    except UserError:
        return
    assert fmt != get_format(spec) or fmt.spec == changed.lower()


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="0123456789０٤² .-+()ebmuintfxlogps", max_size=12))
def test_what_is_accepted_is_its_canonical_spec_but_for_capitals_and_blanks(text: str) -> None:
    try:
        fmt = get_format(text)
    except UserError:
        return
    written = text.replace(" ", "")
    defaults = {written}
    if match := re.fullmatch(r"(u?e(\d+)m\d+)b(\d+)", written):  # the default bias may be spelled out
        defaults |= {match[1]} if int(match[3]) == 2 ** (int(match[2]) - 1) - 1 else set()
    if re.fullmatch(r"u?fix\d+", written):
        defaults.add(written + ".0")
    if written.startswith("log"):
        defaults.add(re.sub(r"\(.*\)", "", written))
    assert fmt.spec in defaults


@pytest.mark.parametrize("choice", ["int08 x int8", "int8 x int８", "e4m3 x e04m3"])
def test_macs_take_no_other_spellings(choice: str) -> None:
    with pytest.raises(UserError):
        get_mac(choice)


def test_every_named_format_is_its_own_canonical_spec() -> None:
    for name in NAMED:
        assert get_format(name).spec == name
    assert len({get_format(name) for name in NAMED}) == len(NAMED)
