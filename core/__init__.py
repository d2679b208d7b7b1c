"""The floor everything stands on: storage, time, work, secrets; it knows nothing about security."""
