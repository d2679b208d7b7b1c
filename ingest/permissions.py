"""Who may see what was delivered, have it read again, and change where alerts come from."""

from core.auth.permissions import declare

READ_DELIVERIES = declare(
    "delivery.read", "See deliveries as they were sent", ("responder", "manager", "auditor")
)
REPLAY_DELIVERIES = declare("delivery.replay", "Have quarantined deliveries read again", ("responder",))
READ_SOURCES = declare("source.read", "See the sources of alerts", ("responder", "manager", "auditor"))
MANAGE_SOURCES = declare("source.manage", "Add, change and disable sources of alerts")
