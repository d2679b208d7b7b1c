"""The front door: deliveries are proven, kept verbatim, acknowledged after commit, and read."""
