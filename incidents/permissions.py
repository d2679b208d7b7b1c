"""Who may do what with alerts and incidents."""

from core.auth.permissions import declare

READ = declare("incident.read", "See incidents and alerts", ("responder", "manager", "auditor"))
OPEN = declare("incident.open", "Open incidents", ("responder", "manager"))
EDIT = declare("incident.edit", "Work on incidents", ("responder", "manager"))
COMMENT = declare("incident.comment", "Comment on incidents", ("responder", "manager"))
ATTACH = declare("incident.attach", "Add files to incidents", ("responder", "manager"))
ANSWER = declare("incident.answer", "Write to those who reported something", ("responder", "manager"))
CLOSE = declare("incident.close", "Close and reopen incidents", ("responder", "manager"))
DECLARE = declare("incident.declare", "Declare incidents", ("responder", "manager"))
ACCEPT = declare("alert.accept", "Ignore alerts for a time", ("responder", "manager"))
SHARE_VIEWS = declare("view.share", "Share views with everybody", ("responder", "manager"))
RESTRICT = declare("incident.restrict", "Change who may see an incident", ("manager",))
REDACT = declare("incident.redact", "Take a value out of the record of an incident", ("manager",))
WORK_TASKS = declare("task.work", "Do tasks", ("responder", "manager"))
EDIT_RULES = declare("grouping_rule.edit", "Change grouping rules", ())
EDIT_CIRCLES = declare("circle.edit", "Change constituencies and teams", ())
