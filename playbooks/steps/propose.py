"""Proposes what a reported mail is, with reasons: from its facts and from look-ups that ran before, and what could be blocked."""

from collections.abc import Mapping
from typing import Any

from playbooks.contract import Body, Done, Event, Failed, Outcome, StepKind, View
from playbooks.targeting import targets
from playbooks.weighing import propose


def parse(body: Body) -> dict[str, Any]:
    """`propose: {mail, looked_up, domains, urls}`: a mail as it was read, results of look-ups, what else could be blocked."""
    table = body.table()
    if table is None:
        return {"mail": "", "looked_up": [], "domains": None, "urls": None}
    spec = {
        "mail": table.text("mail", required=True) or "",
        "looked_up": table.texts("looked_up"),
        "domains": table.text("domains"),
        "urls": table.text("urls"),
    }
    table.close()
    return spec


def begin(view: View) -> Outcome:
    """Weigh it; nothing is asked of anybody."""
    mail = view.render(view.step.spec["mail"])
    if mail is not None and not isinstance(mail, Mapping):
        return Failed('"mail" must be the output of a step that reads a mail', retry=False)
    results = [one for found in view.render(view.step.spec["looked_up"]) for one in found or () if isinstance(one, Mapping)]
    domains, urls = (view.render(view.step.spec[name]) or () for name in ("domains", "urls"))
    known = mail or {"kept": False}
    return Done({**propose(known, results).told(), **targets(known, domains, urls)})


def on_event(_view: View, _event: Event) -> Outcome:
    """Nothing ever happens to it."""
    return Done()


KIND = StepKind(
    name="propose",
    says="Propose a verdict",
    schema={
        "type": "object",
        "required": ["mail"],
        "additionalProperties": False,
        "properties": {"mail": {"type": "string"}, "looked_up": {"type": "array", "items": {"type": "string"}}, "domains": {"type": "string"}, "urls": {"type": "string"}},
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
)
