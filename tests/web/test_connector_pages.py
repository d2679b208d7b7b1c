"""Pages of this kind answer over HTTP."""
