"""The verbs of the response: what can happen to playbooks, runs and steps."""

from core.journal import declare

PLAYBOOK_APPLIED = declare("playbook.applied", "published a playbook")
PLAYBOOK_REMOVED = declare("playbook.removed", "removed a playbook")
PLAYBOOK_PROMOTED = declare("playbook.promoted", "let a playbook do more by itself")
PLAYBOOK_DEMOTED = declare("playbook.demoted", "had a playbook do less by itself")
TRIGGER_FAILED = declare("playbook.trigger_failed", "could not decide whether to start a playbook")

RUN_STARTED = declare("run.started", "started the playbook")
RUN_QUEUED = declare("run.queued", "queued the playbook behind another run")
RUN_DROPPED = declare("run.dropped", "did not start the playbook: it runs already")
RUN_ENDED = declare("run.ended", "ended the playbook")
RUN_CANCELLED = declare("run.cancelled", "stopped the playbook")
RUN_RETRIED = declare("run.retried", "tried a failed step again")
RUN_PARKED = declare("run.parked", "set the run aside: it cannot go on by itself")

STEP_DECIDED = declare("step.decided", "took a branch")
STEP_ASKED = declare("step.asked", "asked for agreement")
STEP_ANSWERED = declare("step.answered", "answered")
SECOND_CALLED = declare("step.second_called", "called a second person to agree")
DECIDED_ALONE = declare("step.decided_alone", "decided alone: nobody else answered in time")
STEP_CALLED_BACK = declare("step.called_back", "called back")
STEP_RETRIED = declare("step.retried", "will try the step again")
STEP_FAILED = declare("step.failed", "could not do the step")
STEP_REFUSED = declare("step.refused", "did not do the step: it was refused")
STEP_WOULD = declare("step.would", "would have done the step")
