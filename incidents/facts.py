"""The verbs of the record: what can happen to alerts, incidents, comments and tasks."""

from core.journal import declare

ALERT_OPENED = declare("alert.opened", "received the alert")
ALERT_ENDED = declare("alert.ended", "ended the alert")
ALERT_RECURRED = declare("alert.recurred", "saw the alert again after its incident was closed")
ALERT_ESCALATED = declare("alert.escalated", "saw the alert get worse")
CONTAINMENT_DOUBTED = declare(
    "alert.containment_doubted", "saw an alert about something under a countermeasure"
)

WATCHED_SEEN = declare("alert.watched_seen", "saw an alert about something that is watched")

INCIDENT_OPENED = declare("incident.opened", "opened the incident")
ALERT_ATTACHED = declare("incident.alert_attached", "attached alerts")
STORM_GATHERED = declare("incident.storm_gathered", "began to gather a storm of alerts of one kind")
ALERT_DETACHED = declare("incident.alert_detached", "took an alert out")
SEVERITY_RAISED = declare("incident.severity_raised", "raised the severity")
INCIDENT_BECAME_LIVE = declare("incident.became_live", "received fresh alerts for a late incident")
INCIDENT_CHANGED = declare("incident.changed", "changed the incident")
STAGE_CHANGED = declare("incident.stage_changed", "moved the incident to another stage")
OWNER_CHANGED = declare("incident.owner_changed", "changed the lead")
SCRIBE_CHANGED = declare("incident.scribe_changed", "changed the scribe")
OFFSHOOT_OPENED = declare("incident.offshoot_opened", "has another incident for a part of it")
SPEAKER_CHANGED = declare("incident.speaker_changed", "changed who speaks for the incident")
CONFIRMATION_CHANGED = declare("incident.confirmation_changed", "said whether this is an incident")
WAITING_CHANGED = declare("incident.waiting_changed", "said whom the incident waits for")
INCIDENT_CLOSED = declare("incident.closed", "closed the incident")
INCIDENT_REOPENED = declare("incident.reopened", "reopened the incident")
INCIDENT_RESTRICTED = declare("incident.restricted", "changed who may see the incident")
INCIDENT_WATCHED = declare("incident.watched", "watches the incident")
INCIDENT_UNWATCHED = declare("incident.unwatched", "no longer watches the incident")
MILESTONE_SET = declare("incident.milestone_set", "set a milestone")

OBSERVABLE_ADDED = declare("observable.added", "added an observable")
OBSERVABLE_REMOVED = declare("observable.removed", "removed an observable")
OBSERVABLE_JUDGED = declare("observable.judged", "said what a value is")

DISCLOSURE_NOTED = declare("disclosure.noted", "noted what somebody outside is told")
DISCLOSURE_CHANGED = declare("disclosure.changed", "changed what is noted of telling somebody outside")
DISCLOSURE_WITHDRAWN = declare("disclosure.withdrawn", "took back a note of telling somebody outside")

COMMENT_ADDED = declare("comment.added", "commented")
COMMENT_EDITED = declare("comment.edited", "edited a comment")

ATTACHMENT_ADDED = declare("attachment.added", "added a file")
ATTACHMENT_REMOVED = declare("attachment.removed", "took a file away")

FINDING_ADDED = declare("finding.added", "added to the attacker's timeline")
FINDING_CORRECTED = declare("finding.corrected", "corrected the attacker's timeline")
FINDING_WITHDRAWN = declare("finding.withdrawn", "took something off the attacker's timeline")

REVIEW_NOTED = declare("review.noted", "added to the review")
REVIEW_WITHDRAWN = declare("review.withdrawn", "took a point out of the review")
FOLLOW_UP_ADDED = declare("follow_up.added", "added an action for afterwards")
FOLLOW_UP_CHANGED = declare("follow_up.changed", "changed an action for afterwards")
FOLLOW_UP_ENDED = declare("follow_up.ended", "ended an action for afterwards")

REPORTER_WROTE = declare("reporter.wrote", "wrote to us")
REPORTER_ANSWERED = declare("reporter.answered", "wrote to the reporter")
REPORTER_LINK_ENDED = declare("reporter.link_ended", "ended the link of a reporter's page")

TASK_CREATED = declare("task.created", "created a task")
TASK_CHANGED = declare("task.changed", "changed a task")
TASK_TICKED = declare("task.ticked", "ticked an item of a task")
TASK_ASSIGNED = declare("task.assigned", "assigned a task")
TASK_COMPLETED = declare("task.completed", "completed a task")
TASK_SKIPPED = declare("task.skipped", "skipped a task")

INCIDENT_REDACTED = declare("incident.redacted", "took a value out of the record of the incident")

CIRCLE_ADDED = declare("circle.added", "added a constituency or team")

ALERTS_ACCEPTED = declare("acceptance.made", "said to ignore such alerts for a time")
ACCEPTANCE_EXTENDED = declare("acceptance.extended", "said to ignore such alerts for longer")
ACCEPTANCE_ENDED = declare("acceptance.ended", "ended that such alerts are ignored")

VIEW_SAVED = declare("view.saved", "saved a view")
VIEW_REMOVED = declare("view.removed", "removed a view")

TARGETS_CHANGED = declare("target.changed", "changed the targets")

RULE_CHANGED = declare("grouping_rule.changed", "changed a grouping rule")
RULE_FAILED = declare("grouping_rule.failed", "could not apply a grouping rule")
