"""One file per way of reaching somebody."""
