"""Tests of PyTorch modules; each says that PyTorch is missing where it is."""
