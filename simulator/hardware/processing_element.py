"""One PE: operand and sum registers around a MAC's step, in the circuit of a dataflow."""

from __future__ import annotations

from amaranth import C, Instance, Mux, Signal

from simulator.dataflow import Dataflow, OperandClass
from simulator.hardware.circuits import Circuit
from simulator.hardware.designs import Design, DesignBuilder, identifier
from simulator.hardware.step_circuit import SumLayout, needs_valid_bits, step_circuit, zero_register
from simulator.numerics import Mac
from simulator.numerics.formats import Format


def operand_format(mac: Mac, operand: OperandClass) -> Format:
    """The format of an operand."""
    return {"activation": mac.activation, "weight": mac.weight}[operand]


def pe_name(mac: Mac, flow: Dataflow) -> str:
    """What its module is called."""
    return f"{identifier(mac)}_pe_{flow.upright.name}"


def processing_element(mac: Mac, flow: Dataflow) -> Design:
    """The PE of an upright array (`simulator.dataflow`), with one register per operand and hop.

    Reset comes before multiply, multiply before shift-out; without any of them everything holds. A PE
    multiplies what stands at its input pins and stores it for its neighbour at the same edge.
    """
    return _pe_sums_stay(mac, flow) if flow.circuit.sums_stay else _pe_sums_move(mac, flow)


def mac_design(mac: Mac) -> Design:
    """The combinational part of a PE: two operand registers and a sum to the next sum."""
    builder, layout = DesignBuilder(mac_module_name(mac)), SumLayout.of(mac)
    activation = builder.input("activation", mac.activation.register_bits)
    weight = builder.input("weight", mac.weight.register_bits)
    old, new = builder.input("sum_in", layout.bits), builder.output("sum_out", layout.bits)
    builder.module.d.comb += new.eq(step_circuit(mac, Circuit(builder.module), activation, weight, old))
    return builder.build()


def mac_module_name(mac: Mac) -> str:
    """What the combinational part is called."""
    return f"{identifier(mac)}_mac"


def _step(builder: DesignBuilder, mac: Mac, operands: dict[OperandClass, Signal], old: Signal) -> Signal:
    new = Signal(len(old), name="sum_next")
    builder.module.submodules.mac = Instance(
        mac_module_name(mac),
        i_activation=operands["activation"],
        i_weight=operands["weight"],
        i_sum_in=old,
        o_sum_out=new,
    )
    return new


def _operand(builder: DesignBuilder, mac: Mac, operand: OperandClass) -> tuple[Signal, Signal, Signal]:
    """Input pin, register and output pin of an operand."""
    fmt = operand_format(mac, operand)
    pin = builder.input(f"{operand}_in", fmt.register_bits)
    out = builder.output(f"{operand}_out", fmt.register_bits)
    register = Signal(fmt.register_bits, name=f"{operand}_register", init=zero_register(fmt))
    builder.module.d.comb += out.eq(register)
    return pin, register, out


def _valid(builder: DesignBuilder, mac: Mac, operand: OperandClass) -> tuple[Signal, Signal]:
    """Input pin and register of an operand's valid bit; of 0 bits where zeros do as well."""
    bits = int(needs_valid_bits(mac))
    pin = builder.input(f"{operand}_valid_in", bits)
    out = builder.output(f"{operand}_valid_out", bits)
    register = Signal(bits, name=f"{operand}_valid")
    builder.module.d.comb += out.eq(register)
    return pin, register


def _pe_sums_stay(mac: Mac, flow: Dataflow) -> Design:
    builder, layout = DesignBuilder(pe_name(mac, flow), has_clock=True), SumLayout.of(mac)
    m = builder.module
    reset, multiply = builder.input("reset", 1), builder.input("multiply", 1)
    shift_out = builder.input("shift_out", 1)
    pins, registers, valids = {}, {}, []
    for operand in flow.entering:
        pins[operand], registers[operand], _ = _operand(builder, mac, operand)
        valids.append(_valid(builder, mac, operand))
    above = builder.input("sum_in", layout.bits)
    out = builder.output("sum_out", layout.bits)
    register = Signal(layout.bits, name="sum_register")
    m.d.comb += out.eq(register)
    new = _step(builder, mac, pins, register)
    used = valids[0][0] & valids[1][0] if len(valids[0][0]) else C(1, 1)
    with m.If(reset):
        for operand in flow.entering:
            m.d.sync += registers[operand].eq(zero_register(operand_format(mac, operand)))
        for _, valid in valids:
            m.d.sync += valid.eq(0)
        m.d.sync += register.eq(0)
    with m.Elif(multiply):
        for operand in flow.entering:
            m.d.sync += registers[operand].eq(pins[operand])
        for pin, valid in valids:
            m.d.sync += valid.eq(pin)
        m.d.sync += register.eq(Mux(used, new, register))
    with m.Elif(shift_out):
        m.d.sync += register.eq(above)
    return builder.build()


def _pe_sums_move(mac: Mac, flow: Dataflow) -> Design:
    builder, layout = DesignBuilder(pe_name(mac, flow), has_clock=True), SumLayout.of(mac)
    m = builder.module
    reset, multiply = builder.input("reset", 1), builder.input("multiply", 1)
    load = builder.input("load", 1)
    moving, staying = flow.entering
    pin, register, _ = _operand(builder, mac, moving)
    valid_pin, valid = _valid(builder, mac, moving)
    loaded, stationary, _ = _operand(builder, mac, staying)
    above = builder.input("sum_in", layout.bits)
    out = builder.output("sum_out", layout.bits)
    total = Signal(layout.bits, name="sum_register")
    m.d.comb += out.eq(total)
    new = _step(builder, mac, {moving: pin, staying: stationary}, above)
    used = valid_pin if len(valid_pin) else C(1, 1)
    with m.If(reset):
        m.d.sync += register.eq(zero_register(operand_format(mac, moving)))
        m.d.sync += stationary.eq(zero_register(operand_format(mac, staying)))
        m.d.sync += [valid.eq(0), total.eq(0)]
    with m.Else():
        with m.If(multiply):
            m.d.sync += [register.eq(pin), valid.eq(valid_pin), total.eq(Mux(used, new, above))]
        with m.If(load):
            m.d.sync += stationary.eq(loaded)
    return builder.build()
