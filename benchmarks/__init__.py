"""Measurements: each module prints what it measured, beside a bound or a peer, and asserts nothing."""
