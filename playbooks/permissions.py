"""Who may do what with playbooks and runs."""

from core.auth.permissions import declare

READ = declare("playbook.read", "See playbooks and runs", ("responder", "manager", "auditor"))
START = declare("playbook.start", "Start and stop playbooks", ("responder", "manager"))
ANSWER = declare("approval.answer", "Agree to or refuse steps", ("responder", "manager"))
APPLY = declare("playbook.apply", "Publish playbooks", ())
PROMOTE = declare("playbook.promote", "Let playbooks act by themselves", ("manager",))
