"""Single-token mutants of chosen modules against those modules' own tests; `make mutants`, docs/testing.md."""
