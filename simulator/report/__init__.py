"""Showing results: console, JSON and CSV, HTML, plots. Never computes a result."""
