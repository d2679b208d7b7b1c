"""The response: playbooks, what they decide next, and the runs that carry them out."""
