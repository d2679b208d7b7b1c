"""Reaching people: who is on call, by which way, and what came of each attempt."""
