"""Finds the owners of hosts, domains and services in the list that this installation keeps."""

from typing import Any

from playbooks.contract import Body, Done, Event, Outcome, Perform, StepKind, View


def parse(body: Body) -> dict[str, Any]:
    """`owners: {of}`; a plain text is `of`."""
    if isinstance(body.value, str):
        return {"of": [body.reader.text("owners") or ""]}
    table = body.table()
    if table is None:
        return {"of": []}
    spec = {"of": table.texts("of")}
    if not spec["of"]:
        table.wrong('"owners" needs "of": whose owners to find')
    table.close()
    return spec


def begin(view: View) -> Outcome:
    """Look them up; that changes nothing, so it is done in every mode."""
    given = view.render(view.step.spec)["of"]
    flat = [one for item in given for one in (item if isinstance(item, list | tuple) else [item])]
    return Perform("owners", {"of": list(dict.fromkeys(str(one).strip() for one in flat if one))[:1000]}, detail={"of": flat})


def on_event(_view: View, event: Event) -> Outcome:
    """`known` names asset and owner, `lines` says each asset with its owner, `people` are the owners, `unknown` has none."""
    found: dict[str, str] = dict(event.data.get("owners") or {})
    asked = [str(one) for one in event.data.get("of") or ()]
    return Done(
        {
            "known": [{"asset": asset, "owner": found[asset]} for asset in asked if asset in found],
            "lines": [f"{asset} ({found[asset]})" if asset in found else asset for asset in asked],
            "people": list(dict.fromkeys(found[asset] for asset in asked if asset in found)),
            "unknown": [asset for asset in asked if asset not in found],
        }
    )


KIND = StepKind(
    name="owners",
    says="Find the owners",
    schema={
        "oneOf": [
            {"type": "string"},
            {
                "type": "object",
                "required": ["of"],
                "additionalProperties": False,
                "properties": {"of": {"type": ["string", "array"], "items": {"type": "string"}}},
            },
        ]
    },
    parse=parse,
    begin=begin,
    on_event=on_event,
    goes_on=True,  # that an owner is not known must never stop the response
)
