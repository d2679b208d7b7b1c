"""One file a command; `command` in each is what `tocsin <file name>` runs."""
