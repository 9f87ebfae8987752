"""Cycle-accurate, bit-accurate simulation of systolic arrays with any number format.

`simulate()` answers latency, power, energy and area of a network on an architecture; see `simulator.api`.
"""

__version__ = "0.1.0"
