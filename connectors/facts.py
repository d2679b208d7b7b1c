"""The verbs of the door to products: what was asked of them, what they did, and which rails were moved."""

from core.journal import declare

ACTION_INTENDED = declare("action.intended", "decided on an action")
ACTION_REFUSED = declare("action.refused", "was refused an action by a guard rail")
ACTION_HELD = declare("action.held", "had an action held back")
ACTION_RESUMED = declare("action.resumed", "let a held action go on")
ACTION_UNBOUND = declare("action.unbound", "found no product for an action")
ACTION_REHEARSED = declare("action.rehearsed", "rehearsed an action without doing it")
ACTION_ATTEMPTED = declare("action.attempted", "called the product")
ACTION_FINISHED = declare("action.finished", "ended an action")
ACTION_UNKNOWN = declare("action.unknown", "cannot tell whether an action happened")
ACTION_SETTLED = declare("action.settled", "told what became of an action")

COUNTERMEASURE_APPLIED = declare("countermeasure.applied", "took a countermeasure")
COUNTERMEASURE_VERIFIED = declare("countermeasure.verified", "saw that the countermeasure holds")
COUNTERMEASURE_DOUBTED = declare("countermeasure.failed", "could not see that the countermeasure holds")
COUNTERMEASURE_REASSURED = declare(
    "countermeasure.reassured", "looked, and says that the countermeasure holds"
)
COUNTERMEASURE_EXTENDED = declare(
    "countermeasure.extended", "extended the countermeasure: the activity goes on"
)
COUNTERMEASURE_REMOVING = declare("countermeasure.removing", "began to take the countermeasure back")
COUNTERMEASURE_REMOVED = declare("countermeasure.removed", "took the countermeasure back")
COUNTERMEASURE_REVIEW_DUE = declare("countermeasure.review_due", "asks for a decision on the countermeasure")

CONNECTOR_CHANGED = declare("connector.changed", "changed the settings of a product")
CONNECTOR_CHECKED = declare("connector.checked", "found that a product's health has changed")
VERB_BOUND = declare("connector.verb_bound", "chose the product for a verb")

GUARD_CHANGED = declare("guard.changed", "changed a guard rail")
AUTOMATION_HELD = declare("automation.held", "held all automation")
SUBJECT_STOPPED = declare("automation.stopped", "stopped the automation of the incident")
SUBJECT_LET_GO = declare("automation.let_go", "let the automation of the incident go on")
AUTOMATION_RELEASED = declare("automation.released", "let automation go on")

OWNERS_CHANGED = declare("owners.changed", "changed who owns what")

FEED_CHANGED = declare("blocklist.feed_changed", "changed a block-list feed")
FEED_FETCHED = declare("blocklist.fetched", "fetched the block list after it had changed")
FEED_SILENT = declare("blocklist.silent", "saw that a block list is no longer fetched")
FEED_HEARD = declare("blocklist.heard", "saw that the block list is fetched again")
