"""The lights of `tocsin doctor`: one file, one light; they never know of each other."""
