"""What reaching people asks permission for."""

from core.auth.permissions import declare

ACKNOWLEDGE = declare("page.acknowledge", "Acknowledge and escalate pages", ("responder", "manager"))
MANAGE = declare("oncall.manage", "Change schedules, escalation policies and channels", ("manager",))
OWN_CONTACTS = declare(
    "contact.manage_own", "Change one's own contact methods", ("responder", "manager", "auditor")
)
