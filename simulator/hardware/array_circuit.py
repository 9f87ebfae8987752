"""R x C PEs with decoders at the edges where operands enter and converters where sums leave."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Cat, ClockSignal, Instance, Signal

from simulator.dataflow import Dataflow, OperandClass, get_dataflow
from simulator.foundation import UserError
from simulator.hardware.circuits import Circuit
from simulator.hardware.designs import Design, DesignBuilder, identifier
from simulator.hardware.edge_decoders import unpack_code
from simulator.hardware.output_converters import convert_sum, why_no_converter
from simulator.hardware.processing_element import mac_design, operand_format, pe_name, processing_element
from simulator.hardware.step_circuit import SumLayout, check_has_hardware, needs_valid_bits
from simulator.numerics import Mac

MOST_PES = 1 << 14


@dataclass(frozen=True, slots=True)
class ArrayShape:
    """Rows, columns and dataflow of an array; `lane_length` and `lanes` are those of the upright one."""

    rows: int
    columns: int
    flow: Dataflow

    @classmethod
    def of(cls, rows: int, columns: int, dataflow: str) -> ArrayShape:
        """Checked. Raises UserError for sizes that cannot be and unknown dataflows."""
        for name, size in (("rows", rows), ("columns", columns)):
            if size < 1:
                raise UserError("must be 1 or more", location=name, value=size)
        if rows * columns > MOST_PES:
            raise UserError(
                "is too large to emit",
                location="rows x columns",
                value=f"{rows} x {columns}",
                allowed=f"up to {MOST_PES} PEs",
            )
        return cls(rows, columns, get_dataflow(dataflow))

    @property
    def lane_length(self) -> int:
        """Rows of the upright array."""
        return self.flow.lane_length(self.rows, self.columns)

    @property
    def lanes(self) -> int:
        """Columns of the upright array."""
        return self.flow.lanes(self.rows, self.columns)

    def at_edge(self, operand: OperandClass) -> int:
        """Codes of an operand that enter at once."""
        return (self.lane_length, self.lanes)[self.flow.entering.index(operand)]


def array_name(mac: Mac, shape: ArrayShape) -> str:
    """What its module is called."""
    return f"{identifier(mac)}_array_{shape.flow.name}_{shape.rows}x{shape.columns}"


def edge_decoder(mac: Mac, operand: OperandClass) -> Design | None:
    """From an operand's code to its register, or None where codes travel as they are."""
    fmt = operand_format(mac, operand)
    if fmt.register_bits == fmt.bits:
        return None
    builder = DesignBuilder(f"{identifier(mac)}_{operand}_decoder")
    code, register = builder.input("code", fmt.bits), builder.output("register", fmt.register_bits)
    builder.module.d.comb += register.eq(unpack_code(fmt, Circuit(builder.module), code))
    return builder.build()


def output_converter(mac: Mac) -> Design | None:
    """From a sum with its flags to a code of the activation format, or None where there cannot be one."""
    if why_no_converter(mac) is not None:
        return None
    builder = DesignBuilder(f"{identifier(mac)}_converter")
    total = builder.input("sum", SumLayout.of(mac).bits)
    code = builder.output("code", mac.activation.bits)
    builder.module.d.comb += code.eq(convert_sum(mac, Circuit(builder.module), total))
    return builder.build()


def array_designs(mac: Mac, shape: ArrayShape) -> dict[str, Design]:
    """All modules of an array by role: `pe`, `array`, and what stands at its edges.

    Raises:
        UserError: the MAC has no hardware.
    """
    check_has_hardware(mac)
    found = {
        "activation_decoder": edge_decoder(mac, "activation"),
        "weight_decoder": edge_decoder(mac, "weight"),
        "mac": mac_design(mac),
        "pe": processing_element(mac, shape.flow),
        "converter": output_converter(mac),
    }
    parts = {role: design for role, design in found.items() if design is not None}
    return parts | {"array": _array(mac, shape, parts)}


def _array(mac: Mac, shape: ArrayShape, parts: dict[str, Design]) -> Design:
    builder = DesignBuilder(array_name(mac, shape), has_clock=True)
    m, flow, layout = builder.module, shape.flow, SumLayout.of(mac)
    R, C_ = shape.lane_length, shape.lanes
    controls = {"reset": builder.input("reset", 1), "multiply": builder.input("multiply", 1)}
    stays = bool(flow.circuit.sums_stay)
    moves = builder.input("shift_out" if stays else "load", 1)
    registers = {operand: _entering(builder, mac, shape, parts, operand) for operand in flow.entering}
    marked = flow.entering if stays else flow.entering[:1]
    marks = {
        operand: builder.input(f"{operand}s_valid", shape.at_edge(operand) * int(needs_valid_bits(mac)))
        for operand in marked
    }
    top = Signal(C_ * layout.bits) if stays else builder.input("sums_in", C_ * layout.bits)
    bottom = builder.output("sums", C_ * layout.bits)
    loads = [moves] * C_ if stays else _delayed(builder, controls["reset"], moves, C_)
    across, down = flow.entering
    rows = [registers[across][i] for i in range(R)]
    row_marks = [_bit(marks[across], i) for i in range(R)]
    columns = [registers[down][j] for j in range(C_)]
    column_marks = [_bit(marks[down], j) if down in marks else None for j in range(C_)]
    sums = [top.word_select(j, layout.bits) for j in range(C_)]
    for i in range(R):
        for j in range(C_):
            new = {
                name: Signal(len(value), name=f"{name}_{i}_{j}")
                for name, value in (("across", rows[i]), ("down", columns[j]))
            }
            total = Signal(layout.bits, name=f"sum_{i}_{j}")
            pins = {
                "i_clk": ClockSignal(),
                "i_reset": controls["reset"],
                "i_multiply": controls["multiply"],
                "i_shift_out" if stays else "i_load": loads[j],
                f"i_{across}_in": rows[i],
                f"o_{across}_out": new["across"],
                f"i_{down}_in": columns[j],
                f"o_{down}_out": new["down"],
                "i_sum_in": sums[j],
                "o_sum_out": total,
            }
            if row_marks[i] is not None:
                mark = Signal(name=f"{across}_valid_{i}_{j}")
                pins |= {f"i_{across}_valid_in": row_marks[i], f"o_{across}_valid_out": mark}
                row_marks[i] = mark
            if column_marks[j] is not None:
                mark = Signal(name=f"{down}_valid_{i}_{j}")
                pins |= {f"i_{down}_valid_in": column_marks[j], f"o_{down}_valid_out": mark}
                column_marks[j] = mark
            m.submodules[f"pe_{i}_{j}"] = Instance(pe_name(mac, flow), **pins)
            rows[i], columns[j], sums[j] = new["across"], new["down"], total
    m.d.comb += bottom.eq(Cat(*sums))
    if "converter" in parts:
        codes = builder.output("codes", C_ * mac.activation.bits)
        for j in range(C_):
            m.submodules[f"converter_{j}"] = Instance(
                parts["converter"].name, i_sum=sums[j], o_code=codes.word_select(j, mac.activation.bits)
            )
    return builder.build()


def _bit(signal: Signal, place: int) -> Signal | None:
    return signal[place] if len(signal) else None


def _entering(
    builder: DesignBuilder, mac: Mac, shape: ArrayShape, parts: dict[str, Design], operand: OperandClass
) -> list[Signal]:
    """An operand's edge: a port of codes side by side, and what the first PEs take."""
    fmt, count = operand_format(mac, operand), shape.at_edge(operand)
    codes = builder.input(f"{operand}s", count * fmt.bits)
    split = [codes.word_select(place, fmt.bits) for place in range(count)]
    decoder = parts.get(f"{operand}_decoder")
    if decoder is None:
        return split
    registers = [Signal(fmt.register_bits, name=f"{operand}_edge_{place}") for place in range(count)]
    for place, (code, register) in enumerate(zip(split, registers, strict=True)):
        builder.module.submodules[f"{operand}_decoder_{place}"] = Instance(
            decoder.name, i_code=code, o_register=register
        )
    return registers


def _delayed(builder: DesignBuilder, reset: Signal, load: Signal, lanes: int) -> list[Signal]:
    """The preload enable of each lane: it moves right one lane a cycle."""
    enables = [load]
    for lane in range(1, lanes):
        register = Signal(name=f"load_{lane}")
        builder.module.d.sync += register.eq(enables[-1] & ~reset)
        enables.append(register)
    return enables
