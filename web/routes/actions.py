"""Trying an action in dry run, and which product does which verb.

`/connectors/verbs` stands before `/connectors/{name}` because modules are taken in the order of their names.
"""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from connectors import calls, guards, instances, rails, registry
from connectors.calls import CallContext
from connectors.contract import Action, Connector
from connectors.guards import Asked as AskedBy
from connectors.guards import Verdict
from connectors.models import ActionCall, ConnectorInstance, VerbBinding
from core.actors import Actor
from core.db import reading, unit_of_work
from core.errors import NotFound, Problem, TocsinError
from core.ids import new_id
from core.types import Ref
from web import connector_forms
from web.forms import Asked
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Form, allowed

router = APIRouter(include_in_schema=False)

VERBS = "/connectors/verbs"


@dataclass(kw_only=True)
class TryPage(Page, template="action_try.html", rail="settings"):
    """One action: what it does, a form of its inputs, and what would be sent."""

    product: Connector
    action: Action
    targets: list[ConnectorInstance]
    fields: list[Asked]
    instance: str
    problems: list[Problem]
    call: ActionCall | None
    by_you: Verdict | None
    by_playbook: Verdict | None
    used: str
    may_try: bool


@dataclass(frozen=True)
class Bound:
    """One verb: who can do it, who is chosen, and who would do it now."""

    verb: str
    effect: str
    title: str
    able: list[ConnectorInstance]
    binding: VerbBinding | None
    mode: str
    doing: list[str]


@dataclass(kw_only=True)
class VerbsPage(Page, template="verbs.html", rail="settings"):
    """Every verb that playbooks may use."""

    bound: list[Bound]
    unbound: list[Bound]
    may_manage: bool


@router.get("/connectors/verbs")
def verbs(request: Request, actor: Actor = allowed("connector.read")) -> Response:
    """Who does what."""
    found = []
    with reading() as session:
        rows = [row for row in instances.configured(session) if row.enabled]
        for verb, able in sorted(registry.verbs().items()):
            mode, targets = instances.resolve(session, verb)
            products = {action.connector for action in able}
            found.append(
                Bound(
                    verb=verb,
                    effect=calls.effect_of(verb),
                    title=able[0].title,
                    able=[row for row in rows if row.connector in products],
                    binding=session.get(VerbBinding, verb),
                    mode=mode,
                    doing=[target.instance.name for target in (targets if mode == "all" else targets[:1])],
                )
            )
    page = VerbsPage(
        bound=[one for one in found if one.able],
        unbound=[one for one in found if not one.able],
        may_manage=actor.may("connector.manage"),
    )
    return show(request, page)


@router.post("/connectors/verbs")
def bind(form: Form, actor: Actor = allowed("connector.manage")) -> Response:
    """Choose the products of a verb, in order."""
    places = {name: place for name, place in form.starting("place.").items() if place}
    chosen = sorted(places, key=lambda name: (places[name], name))
    with unit_of_work() as uow:
        instances.bind(uow, actor, form.get("verb"), chosen, form.get("mode", "first"))
    return then(VERBS, _("%(verb)s is done this way from now on.") % {"verb": form.get("verb")})


@router.get("/connectors/{name}/actions/{action}")
def prepare(request: Request, name: str, action: str, actor: Actor = allowed("connector.read")) -> Response:
    """The form of an action."""
    return _page(request, actor, *_find(name, action))


@router.post("/connectors/{name}/actions/{action}")
def rehearse(
    request: Request, form: Form, name: str, action: str, actor: Actor = allowed("action.run")
) -> Response:
    """Show what would be sent, and what the guard rails say; nothing is sent."""
    product, declared = _find(name, action)
    instance = form.get("instance")
    given = form.starting("input.")
    try:
        inputs = connector_forms.answers(declared.inputs, given)
        context = CallContext(
            actor, Ref("user", actor.id), dry_run=True, reason=_("tried on the product's page")
        )
        with unit_of_work() as uow:
            key = f"try:{new_id()}"
            call = calls.request(uow, context, declared.full_name, inputs, instance=instance or None, key=key)
            verdicts = _verdicts(uow, product, declared, inputs)
            uow.flush()
    except TocsinError as error:
        problems = [Problem("", error.message)]  # the sentence names every problem
        return _page(request, actor, product, declared, given=given, instance=instance, problems=problems)
    return _page(
        request, actor, product, declared, given=given, instance=instance, call=call, verdicts=verdicts
    )


def _verdicts(
    session: Session, product: Connector, action: Action, inputs: dict[str, Any]
) -> tuple[Verdict, Verdict]:
    """What the guard rails say now to this person, and to a playbook that nobody has approved."""
    outside = product.kind == "intel"
    named = guards.read_inputs(action, inputs, outside=outside)
    standing = rails.standing(session, action)
    asked = (AskedBy(by_person=True, outside=outside), AskedBy(outside=outside))
    return guards.judge(action, named.entities, asked[0], standing), guards.judge(
        action, named.entities, asked[1], standing
    )


def _find(name: str, action: str) -> tuple[Connector, Action]:
    product = registry.get(name)
    if action not in product.actions:
        raise NotFound(_("%(product)s has no such action.") % {"product": product.title})
    return product, product.actions[action]


def _page(
    request: Request,
    actor: Actor,
    product: Connector,
    action: Action,
    *,
    given: dict[str, str] | None = None,
    instance: str = "",
    problems: list[Problem] | None = None,
    call: ActionCall | None = None,
    verdicts: tuple[Verdict, Verdict] | None = None,
) -> Response:
    with reading() as session:
        targets = [
            row for row in instances.configured(session) if row.connector == product.name and row.enabled
        ]
        standing = rails.standing(session, action)
    used = ""
    if standing.budget is not None:
        numbers = {"used": standing.used, "budget": standing.budget}
        used = _("Playbooks have used %(used)s of %(budget)s in the last hour.") % numbers
    page = TryPage(
        product=product,
        action=action,
        targets=targets,
        fields=connector_forms.asked(action.inputs, given),
        instance=instance,
        problems=problems or [],
        call=call,
        by_you=verdicts[0] if verdicts else None,
        by_playbook=verdicts[1] if verdicts else None,
        used=used,
        may_try=actor.may("action.run"),
    )
    return show(request, page, status=422 if problems else 200)
