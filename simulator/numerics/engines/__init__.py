"""Engines of matrix products: each gives the same bits, or says why it cannot.

An engine is a module with an `Engine`; it is registered by its place in `registered.ENGINES`.
"""
