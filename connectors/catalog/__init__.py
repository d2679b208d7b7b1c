"""One product, one file: how its alerts read and what it can do."""
