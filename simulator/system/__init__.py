"""The machine around the grid: DRAM, DMA, double-buffered SRAMs, controller, output path."""
