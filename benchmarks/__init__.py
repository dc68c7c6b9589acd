"""Benchmarks: run them as modules from the repository root, for example ``python -m benchmarks.predict``."""
