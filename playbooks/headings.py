"""Reads what stands above a playbook's steps: what it is given, what starts it, its limits."""

from playbooks import checks, plan
from playbooks.language import Reader, Rows, Table, check_id, plain

_INPUT_TYPES = ("any", "string", "boolean", "integer", "number", "array", "object")


def read_inputs(reader: Reader) -> dict[str, plan.Input]:
    """What another playbook, or a person, must hand it."""
    inputs: dict[str, plan.Input] = {}
    table = reader.inner("inputs")
    for name in table.table if table else ():
        assert table is not None
        check_id(table, name, name)
        if isinstance(table.value(name), str):
            kind = table.choice(name, _INPUT_TYPES, "any")
            inputs[name] = plan.Input(type=kind, required=True)
            continue
        given = table.inner(name)
        if given is not None:
            inputs[name] = plan.Input(
                type=given.choice("type", _INPUT_TYPES, "any"),
                required=given.flag("required"),
                default=plain(given.value("default")),
                description=given.text("description"),
            )
            given.close()
    return inputs


def read_triggers(reader: Reader) -> tuple[plan.Trigger, ...]:
    """The facts that start it."""
    found: list[plan.Trigger] = []
    rows = reader.value("triggers", Rows())
    if not isinstance(rows, Rows):
        reader.wrong('"triggers" must be a list of {on: …, when: …}', "triggers")
        return ()
    for row in rows:
        if not isinstance(row, Table):
            reader.wrong("a trigger must be a mapping: {on: incident.opened, when: …}", "triggers")
            continue
        trigger = Reader(row, reader.where, reader.notes)
        on = trigger.choice("on", checks.TRIGGER_FACTS, checks.TRIGGER_FACTS[0])
        if not trigger.has("on"):
            trigger.wrong('"on" is missing: name the fact that starts the playbook, such as incident.opened')
        found.append(
            plan.Trigger(on=on, when=(trigger.text("when") or "").strip() or None, line=trigger.line)
        )
        trigger.close()
    return tuple(found)
