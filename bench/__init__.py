"""Measures Tocsin as it runs: real processes, real HTTP, real databases that flush to disk."""
