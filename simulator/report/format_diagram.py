"""Drawings of number formats: what their bits mean, and where their values lie."""

from __future__ import annotations

from simulator.report import units
from simulator.report.components import Colour
from simulator.report.pictures import FormatPicture
from simulator.report.svg import box, drawing, text

_FIELDS = {
    "sign": Colour("#d55e00", "#f08a3c"),
    "exponent": Colour("#009e73", "#5fd1b0"),
    "regime": Colour("#cc79a7", "#ecb3d0"),
    "fraction": Colour("#0072b2", "#4fa8e0"),
    "magnitude": Colour("#0072b2", "#4fa8e0"),
    "integer": Colour("#56b4e9", "#9bd4f5"),
    "code": Colour("#767676", "#9a9a9a"),
}
_WIDE = 480
_WIDEST_BIT = 30


def format_diagram(picture: FormatPicture) -> str:
    """The fields of a code, every value on a line from lowest to largest, and how many lie in each octave."""
    title = f"{picture.spec} ({picture.family}, {picture.bits} bits): {picture.used_for}"
    parts = [text(6, 16, title, "name", anchor="start")]
    bit = min(_WIDEST_BIT, _WIDE / picture.bits)
    x = 6.0
    for field in picture.fields:
        wide = bit * field.bits
        colour = _FIELDS.get(field.name, _FIELDS["code"])
        parts += [box(x + bit * i, 26, bit - 1, 24, "part", colour=colour) for i in range(field.bits)]
        about = "from " if field.varies and field.name == "regime" else "up to " if field.varies else ""
        parts.append(
            text(
                x + wide / 2,
                64,
                f"{field.name} {about}{field.bits}" if wide > 54 else field.name[:4],
                "small",
            )
        )
        x += wide
    bottom = 74.0
    if picture.values:
        parts += _line(picture.values, bottom)
        bottom += 56
    if picture.octaves:
        parts += _octaves(picture.octaves, bottom)
        bottom += 74
    else:
        parts.append(
            text(6, bottom + 14, "values of formats beyond 16 bits are not drawn", "small", anchor="start")
        )
        bottom += 22
    return drawing(492, bottom, parts, title)


def _line(values: tuple[float, ...], top: float) -> list[str]:
    low, high = values[0], values[-1]
    span = (high - low) or 1.0
    ticks = "".join(f"M{6 + _WIDE * (value - low) / span:.1f} {top + 22:.0f}v-12" for value in values)
    zero = 6 + _WIDE * (0 - low) / span
    marks = [text(zero, top + 38, "0", "small")] if low < 0 < high else []
    return [
        text(6, top + 6, f"{len(values)} values along the number line", "small", anchor="start"),
        f'<path class="tick" d="M6 {top + 22:.0f}H486{ticks}"/>',
        text(6, top + 38, units.significant(low), "small", anchor="start"),
        *marks,
        text(486, top + 38, units.significant(high), "small", anchor="end"),
    ]


def _octaves(octaves: tuple[tuple[int, int], ...], top: float) -> list[str]:
    least, greatest = octaves[0][0], octaves[-1][0]
    wide = _WIDE / (greatest - least + 1)
    most = max(count for _, count in octaves)
    bars = [
        box(
            6 + wide * (exponent - least),
            top + 46 - 30 * count / most,
            max(wide - 1, 0.5),
            30 * count / most,
            "part",
            colour=_FIELDS["fraction"],
            title=f"{count} values from 2^{exponent} to 2^{exponent + 1}",
        )
        for exponent, count in octaves
    ]
    return [
        text(6, top + 8, f"positive values in each power of two, up to {most:,}", "small", anchor="start"),
        *bars,
        text(6, top + 60, f"2^{least}", "small", anchor="start"),
        text(486, top + 60, f"2^{greatest}", "small", anchor="end"),
    ]
