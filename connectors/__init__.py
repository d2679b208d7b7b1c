"""Products we speak with: how their alerts read, what they can do, and the one door to them."""
