"""One file a format; `format` in each turns a report into bytes."""
