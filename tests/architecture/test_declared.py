"""What the parts say about themselves fits together: verbs, permissions, subscribers, tables, work."""

import re

import house_rules
from sqlalchemy import DateTime

from cli import assemble
from core import journal, outbox, work
from core.auth import permissions
from core.db import Base

LEVEL = {
    "core": 0, "connectors": 1, "notify": 1, "incidents": 2, "ingest": 3, "playbooks": 3, "reports": 4, "web": 5,
    "cli": 6,
}  # fmt: skip


def test_every_permission_that_code_asks_for_is_declared() -> None:
    assemble.load()
    unknown = [
        f"{place}: {name} is not declared"
        for source in house_rules.sources(*house_rules.PACKAGES)
        for name, place in house_rules.permissions_asked(source)
        if name not in permissions.declared()
    ]
    assert not unknown, "\n".join(unknown)


def test_every_permission_is_asked_for_somewhere() -> None:
    assemble.load()
    text = "\n".join(source.text for source in house_rules.sources(*house_rules.PACKAGES))
    constants = {
        name: constant for constant, name in re.findall(r'(\w+) = (?:\w+\.)?declare\(\s*"([\w.]+)"', text)
    }
    unused = [
        name
        for name in permissions.declared()
        if text.count(f'"{name}"') < 2 and len(re.findall(rf"\b{constants.get(name)}\b", text)) < 2
    ]
    assert not unused, f"declared and never asked for: {', '.join(sorted(unused))}"


def test_every_verb_that_is_subscribed_to_is_declared() -> None:
    assemble.load()
    assert not outbox.subscribed_verbs() - set(journal.verbs())


def test_verbs_are_declared_by_the_package_that_owns_them_and_read_as_a_sentence() -> None:
    assemble.load()
    for verb in journal.verbs().values():
        assert verb.name.count(".") == 1, f"{verb.name} should read `thing.happened`"
        assert verb.says, f"{verb.name} has no words"
        assert not verb.says.endswith("."), (
            f"{verb.name}: {verb.says!r} follows a name, so it needs no full stop"
        )


def test_references_between_tables_point_down() -> None:
    assemble.load()
    owner = {
        mapper.local_table.name: mapper.class_.__module__.split(".")[0] for mapper in Base.registry.mappers
    }
    upward = [
        f"{table.name}.{key.parent.name} → {key.column.table.name}"
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if LEVEL[owner.get(table.name, "core")] < LEVEL[owner.get(key.column.table.name, "core")]
    ]
    assert not upward, f"foreign keys that point up: {upward}"


def test_relationships_load_only_what_a_query_asks_for() -> None:
    assemble.load()
    eager = [
        f"{mapper.class_.__name__}.{relation.key} is lazy={relation.lazy!r}"
        for mapper in Base.registry.mappers
        for relation in mapper.relationships
        if relation.lazy not in ("raise", "raise_on_sql", "write_only")
    ]
    assert not eager, "\n".join(eager)


def test_no_column_holds_a_naive_time() -> None:
    assemble.load()
    naive = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, DateTime)
    ]
    assert not naive, f"use core.types.Instant: {naive}"


def test_every_table_of_durable_work_finds_what_is_due_by_an_index() -> None:
    assemble.load()
    assert work.kinds()
    for kind in work.kinds().values():
        names = {str(index.name) for index in kind.model.__table__.indexes}
        table = kind.model.__tablename__
        assert any(name.endswith("_due") for name in names), f"{table} has no work.due_index()"


def test_every_table_is_registered_by_assembling_the_packages() -> None:
    """A table in a file that nothing imports would be missing from migrations."""
    assemble.load()
    known = {mapper.local_table.name for mapper in Base.registry.mappers}
    for source in house_rules.sources(*house_rules.PACKAGES):
        for _, line in source.lines:
            if line.strip().startswith("__tablename__ = "):
                name = line.split('"')[1]
                assert name in known, f"{source.path}: table {name} is not found by cli.assemble"
