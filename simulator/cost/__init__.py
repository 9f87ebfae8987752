"""Prices: energy and area tables, composition of unpublished MACs from parts, pricing of action counts."""
