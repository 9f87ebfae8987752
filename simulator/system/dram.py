"""Off-chip memory in clock cycles: whole bursts at the configured rate, latency, refresh."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from simulator.arch import ArchConfig
from simulator.foundation import UserError
from simulator.system.plan import Memory


@dataclass(frozen=True, slots=True)
class DramTiming:
    """One DRAM channel as the array's clock sees it.

    bytes_per_cycle: the exact peak rate. A transfer takes whole bursts and then whole cycles, rounded up.
    """

    bytes_per_cycle: Fraction
    burst_bytes: int
    memory: Memory

    @classmethod
    def of(cls, arch: ArchConfig) -> DramTiming:
        """The DRAM of an architecture; latency and refresh durations are rounded up to whole cycles.

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
        return cls(
            bytes_per_cycle=exact(dram.bandwidth_gbyte_per_s) * 1000 / clock_mhz,
            burst_bytes=dram.burst_bytes,
            memory=Memory(
                latency=cycles(dram.latency_ns),
                refresh_interval=interval,
                refresh_duration=duration,
            ),
        )

    def cycles(self, size: int) -> int:
        """Cycles for which a transfer of `size` bytes occupies the channel."""
        bursts = -(-size // self.burst_bytes)
        return -(
            -bursts * self.burst_bytes * self.bytes_per_cycle.denominator // self.bytes_per_cycle.numerator
        )


def exact(value: float) -> Fraction:
    """The decimal number that a person wrote, exactly: 25.6 is 128/5."""
    return Fraction(str(value))
