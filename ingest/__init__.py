"""The front door: proves who sent a delivery, keeps it, and hands its alerts to the record."""
