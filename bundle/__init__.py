"""Makes the offline bundle."""
