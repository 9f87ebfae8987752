"""Off-chip memory in clock cycles: the configured rate, latency, refresh."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from simulator.arch import ArchConfig
from simulator.foundation import UserError
from simulator.system.nest import Memory

_FINEST_RATE = 10**6
"""Largest denominator of a rate in bytes per cycle, so that 64 bits hold every product of it."""


def memory_of(arch: ArchConfig) -> Memory:
    """The DRAM channel of an architecture; latency and refresh durations are rounded up to whole cycles.

    Raises:
        UserError: refreshes that leave no whole cycle between them.
    """
    dram = arch.dram
    clock_mhz = exact(arch.clock_mhz)

    def cycles(nanoseconds: float) -> int:
        return ceil(exact(nanoseconds) * clock_mhz / 1000)

    interval, duration = cycles(dram.refresh_interval_ns), cycles(dram.refresh_duration_ns)
    if interval and duration >= interval:
        raise UserError(
            f"takes {duration} whole cycles, refreshes follow one another every {interval}",
            source=arch.name,
            location="dram.refresh_duration_ns",
            value=dram.refresh_duration_ns,
        )
    rate = bytes_per_cycle(arch)
    return Memory(
        rate.numerator, rate.denominator, dram.burst_bytes, cycles(dram.latency_ns), interval, duration
    )


def bytes_per_cycle(arch: ArchConfig) -> Fraction:
    """The DRAM's peak rate as the array's clock sees it."""
    rate = exact(arch.dram.bandwidth_gbyte_per_s) * 1000 / exact(arch.clock_mhz)
    limited = rate.limit_denominator(_FINEST_RATE)
    return limited if limited else Fraction(1, _FINEST_RATE)


def exact(value: float) -> Fraction:
    """The decimal number that a person wrote, exactly: 25.6 is 128/5."""
    return Fraction(str(value))
