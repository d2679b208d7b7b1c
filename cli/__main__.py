"""Lets `python -m cli` do what `tocsin` does."""

from cli.main import main

main()
