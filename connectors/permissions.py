"""Who may configure products, run actions by hand, and move guard rails."""

from core.auth.permissions import declare

READ_CONNECTORS = declare(
    "connector.read", "See the products and their health", ("responder", "manager", "auditor")
)
MANAGE_CONNECTORS = declare("connector.manage", "Configure products")
RUN_ACTIONS = declare("action.run", "Run an action by hand", ("responder",))
SETTLE_ACTIONS = declare("action.settle", "Say what became of an unknown action", ("responder",))
REMOVE_COUNTERMEASURES = declare("countermeasure.remove", "Take countermeasures back", ("responder",))
CHANGE_GUARDS = declare("guard.change", "Change guard rails: protected things and budgets", ("manager",))
HOLD_AUTOMATION = declare("automation.hold", "Hold all automation", ("responder", "manager"))
LET_GO = declare("automation.let_go", "Let the automation of one incident go on", ("responder", "manager"))
RELEASE_AUTOMATION = declare("automation.release", "Let held automation go on", ("manager",))
