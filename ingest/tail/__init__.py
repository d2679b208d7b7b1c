"""The tail: follows files of JSON lines on other machines; handed out as one file that needs nothing but Python 3.6."""
