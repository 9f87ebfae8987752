"""Exact matrix products: several engines, one answer, and a planner that says which ran and why."""
