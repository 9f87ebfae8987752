"""The machine around the grid: DRAM, DMA, double-buffered SRAMs, controller, output path."""

from simulator.system.run_network import LayerRun, MachineRun, simulate_network

__all__ = ["LayerRun", "MachineRun", "simulate_network"]
