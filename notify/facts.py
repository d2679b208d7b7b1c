"""The words the journal uses for reaching people."""

from core.journal import declare

PAGE_STARTED = declare("page.started", "started paging")
PAGE_JOINED = declare("page.joined", "added to the page that is on its way")
PAGE_ATTEMPTED = declare("page.attempted", "tried to reach somebody")
PAGE_DELIVERED = declare("page.delivered", "handed a page to its channel")
PAGE_FAILED = declare("page.failed", "could not hand a page to its channel")
PAGE_ARRIVED = declare("page.arrived", "heard that a page arrived")
PAGE_BUNDLED = declare("page.bundled", "held a page back for one bundle")
PAGE_ESCALATED = declare("page.escalated", "escalated the page")
PAGE_ACKNOWLEDGED = declare("page.acknowledged", "acknowledged the page")
PAGE_LAPSED = declare("page.lapsed", "paged again: acknowledged, and nobody did anything since")
PAGE_EXHAUSTED = declare("page.exhausted", "reached the end of the escalation policy")
PAGE_CLOSED = declare("page.closed", "ended the page")
MESSAGE_SENT = declare("message.sent", "sent a message")
MESSAGE_FAILED = declare("message.failed", "could not send a message")
SCHEDULE_CHANGED = declare("schedule.changed", "changed an on-call schedule")
POLICY_CHANGED = declare("policy.changed", "changed an escalation policy")
CONTACT_CHANGED = declare("contact.changed", "changed a contact method")
CHANNEL_CHANGED = declare("channel.changed", "changed a channel's settings")
