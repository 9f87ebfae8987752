"""Seeded generators of hostile input, one for each kind, and what must come of every case."""
