"""Mutation testing of the package: what ``benchmarks/mutation.py`` is made of."""
