"""What the journal says about Tocsin's own work."""

from core.journal import declare

WORK_REPLAYED = declare("work.replayed", "had stuck work tried again")
