"""Slow twins of the simulator, written from the definitions; they share no code with it."""
