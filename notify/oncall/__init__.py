"""Who is on call: schedules, rotations, overrides and escalation policies."""
