"""Tests of MACs as hardware; each says that the extra `rtl` is missing where it is."""
