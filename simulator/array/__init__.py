"""The PE grid, register by register and clock by clock, and the schedule of its folds in closed form."""
