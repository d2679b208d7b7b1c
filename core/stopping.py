"""How long a stop may take: the one place for the seconds that the program, docker-compose.yml and systemd's units agree on.

A stop takes nothing new, and waits for one exchange with a product and for its outcome to be written. A call that asks for more
than that (signing in, searching, page after page) is cut: it stays as it was written down before it began, and whoever takes it
over when its lease ends repeats what can be repeated, asks the product what can be asked, and tells people the rest as unknown.
"""

from datetime import timedelta

EXCHANGE = 45.0
"""Seconds that one exchange with a product takes at most."""
CALLS = timedelta(seconds=EXCHANGE + 5)
"""What a stop waits for calls under way: an exchange, and its outcome is written."""

GOODBYE = 1.0
"""Seconds in which the web server answers kept-alive connections, each answer saying that it is the last."""
LATECOMERS = 0.4
"""Seconds that a connection accepted at the last moment has to send its request."""
REQUESTS = 2
"""Seconds that requests under way have to end."""

MAIL, SEALER, PRESENCE, WATCH = 5.0, 2.0, 3.0, 3.0
"""Seconds that a stop waits for what takes mail in, for the journal's sealer, for the process' last sign of life, and for the watch."""

LONGEST = timedelta(seconds=GOODBYE + LATECOMERS + REQUESTS + MAIL + SEALER + PRESENCE + WATCH) + CALLS
"""What all of it comes to when each hangs, one after the other."""
GRACE = timedelta(seconds=75)
"""What Docker and systemd wait before they kill."""
