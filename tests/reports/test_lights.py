"""Each light of the doctor, in every colour it has, with something to do wherever it is not green."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from held_time import HeldClock
from people_here import People

from cli import assemble, first_steps
from connectors import rails
from core import certificates, facts, heartbeat, witness
from core.actors import SYSTEM, Actor
from core.auth import users
from core.auth.models import SecondFactor
from core.db import reading, unit_of_work
from core.journal import Fact, record
from core.settings import configure, settings
from core.types import Ref
from ingest import sources
from ingest.models import Source
from notify import contacts, queries
from reports import doctor
from reports.doctor import Finding, State

assemble.load()
NAMES = ["tls", "backup", "responders", "mail", "second_factor", "witness", "heartbeat", "secret_key", "sources", "yours"]
Seen = Callable[..., Finding]


@pytest.fixture
def seen(sqlite_database: object, tmp_path: Path, clock: HeldClock) -> Seen:
    """`seen("tls", host=…)`: what one light says under these settings."""
    del sqlite_database, clock
    base = settings().with_(data_dir=tmp_path, muzzled=False)

    def look(name: str, **changes: Any) -> Finding:
        configure(base.with_(**changes))
        (light,) = [one for one in doctor.lights() if one.name == name]
        with reading() as session:
            found = light.look(doctor.Look(session, settings(), doctor.database_now(session)))
        assert (
            found.says.endswith((".", light.name))
            or found.state is not State.green
            or "SHA-256" in found.says
        )
        if found.state is not State.green:
            assert found.todo, f"{name} is {found.state} and says nothing to do"
        return found

    return look


def test_the_folder_holds_ten_lights_in_their_order() -> None:
    assert [light.name for light in doctor.lights()] == NAMES
    assert doctor.worst([]) is State.green


def test_tls(seen: Seen, tmp_path: Path, clock: HeldClock) -> None:
    assert seen("tls", host="127.0.0.1", base_url="http://127.0.0.1:8000").state is State.yellow
    assert seen("tls", host="0.0.0.0", base_url="http://127.0.0.1:8000").state is State.yellow
    assert seen("tls", host="0.0.0.0", base_url="http://192.0.2.7:8000").state is State.red
    assert "all people seem to come from it" in seen("tls", base_url="https://soc.example").says
    assert seen("tls", base_url="https://soc.example", trusted_proxies=("127.0.0.1/32",)).state is State.green
    proxied: dict[str, Any] = {"base_url": "https://soc.example", "trusted_proxies": ("127.0.0.1/32",)}
    assert seen("tls", **proxied, host="0.0.0.0").says.endswith("whoever comes round it is turned away.")
    assert "speaks in the clear" in seen("tls", **proxied, host="0.0.0.0", allow_plain_http=True).says
    assert seen("tls", **proxied | {"base_url": "http://192.0.2.7:8000"}, host="0.0.0.0").state is State.red
    assert seen("tls", **proxied, mail_listen="127.0.0.1:2525").state is State.green
    mail = seen("tls", **proxied, mail_listen="0.0.0.0:2525", allow_plain_http=True)
    assert (mail.state, "Mail travels in the clear" in mail.says) == (State.red, True)
    assert seen("tls", **proxied, mail_listen="nowhere").state is State.red
    files = tmp_path / "c.pem", tmp_path / "k.pem"
    own = {"tls_certificate": files[0], "tls_key": files[1], "tls_generated": True}
    assert seen("tls", **own).state is State.red  # it is not there
    certificates.ensure(*files, ["soc.example"])
    assert certificates.read(files[0]).fingerprint in seen("tls", **own).says
    assert seen("tls", **own, mail_listen="0.0.0.0:2525").state is State.green
    clock.advance(certificates.LIFE - timedelta(days=5))
    assert seen("tls", **own).state is State.yellow
    clock.advance(days=6)
    ended = seen("tls", **own | {"tls_generated": False})
    assert (ended.state, ended.todo) == (State.red, "Put a new certificate in its place.")


def test_backup(seen: Seen, clock: HeldClock) -> None:
    with unit_of_work() as uow:
        users.create(uow, SYSTEM, email="ana@example.org", name="Ana", roles=["administrator"])
    assert seen("backup").state is State.yellow
    clock.advance(days=3)
    assert seen("backup").state is State.red
    with unit_of_work() as uow:
        record(uow, SYSTEM, Fact(facts.BACKUP_MADE, (Ref("setting", "database"),), {"rows": 1}))
    assert seen("backup").state is State.green
    assert "2026-03-05 09:00" in seen("backup").says
    clock.advance(days=2)
    assert seen("backup").state is State.yellow
    clock.advance(days=6)
    assert seen("backup").state is State.red


def test_responders(seen: Seen, people: People) -> None:
    assert seen("responders").href == "/oncall/policies"
    with unit_of_work() as uow:
        pair = [users.get(uow, who.user_id) for who in (people.rita, people.raul) if who.user_id]
        first_steps.on_call(uow, pair)
    quiet = seen("responders")
    assert quiet.state is State.red
    assert "outside these pages" in quiet.says

    def reach(person: Any, channel: str, **address: str) -> None:
        with unit_of_work() as uow:
            contacts.add(uow, SYSTEM, user_id=person.user_id, channel=channel, address=address)

    reach(people.rita, "email", to="rita@example.org")
    assert "One person alone" in seen("responders").says
    reach(people.raul, "email", to="raul@example.org")
    assert "in one way only: email" in seen("responders").says
    reach(people.raul, "ntfy", server="https://ntfy.example.org", topic="soc-raul")
    assert seen("responders").state is State.yellow  # nobody has seen a test of it arrive
    with unit_of_work() as uow:
        (way,) = [one for one in queries.contact_methods(uow, people.raul.user_id) if one.channel == "ntfy"]
        contacts.verified(uow, people.raul, way.id)
    assert seen("responders").says == "2 people are reached in 2 ways."
    assert "nothing leaves this machine" in seen("responders", muzzled=True).says


def test_second_factor(seen: Seen, people: People, clock: HeldClock) -> None:
    assert "TOCSIN_SECOND_FACTOR" in seen("second_factor", second_factor_required=False).command
    with unit_of_work() as uow:
        for person in (people.ana, people.mara):
            uow.get_one(users.User, person.user_id).password = "x"
    assert seen("second_factor").state is State.red

    def enrol(*persons: Actor) -> None:
        with unit_of_work() as uow:
            for person in persons:
                uow.add(
                    SecondFactor(
                        user_id=person.user_id, kind="totp", name="App", confirmed_at=uow.now, created_at=uow.now
                    )
                )

    enrol(people.ana)
    assert "Mara" in seen("second_factor").says
    enrol(people.mara)
    assert seen("second_factor").state is State.green
    clock.advance(timedelta(days=4))
    assert seen("second_factor").state is State.green
    with unit_of_work() as uow:
        users.disable(uow, SYSTEM, people.mara.user_id)  # type: ignore[arg-type]  # a person
    assert "One person alone watches over" in seen("second_factor").says


def test_witness(seen: Seen, clock: HeldClock) -> None:
    assert seen("witness").state is State.yellow
    named = {"witness": ("mailto:auditor@example.org",)}
    assert "No witness has been asked" in seen("witness", **named).says
    with unit_of_work() as uow:
        witness.seed(uow)
    assert "has not got a checkpoint yet" in seen("witness", **named).says

    def noted(**values: Any) -> None:
        with unit_of_work() as uow:
            (row,) = uow.query(witness.JournalWitness).all()
            for name, value in values.items():
                setattr(row, name, value)

    noted(error="the mail server refused it")
    assert seen("witness", **named).state is State.red
    noted(error=None, kept_at=clock.now)
    assert seen("witness", **named).state is State.green
    clock.advance(days=3)
    noted(error="the mail server refused it")
    assert seen("witness", **named).state is State.red


def test_heartbeat(seen: Seen, tmp_path: Path, clock: HeldClock) -> None:
    assert seen("heartbeat").state is State.yellow
    told = {"heartbeat_url": "https://hc.example.org/ping"}
    assert "tocsin watch" in seen("heartbeat", **told).todo
    heartbeat.remember(tmp_path, clock.now)
    assert seen("heartbeat", **told).state is State.green
    clock.advance(minutes=11)
    assert seen("heartbeat", **told).state is State.red
    (tmp_path / heartbeat.FILE).write_text("no time", encoding="ascii")
    assert seen("heartbeat", **told).state is State.yellow
    heartbeat.remember(tmp_path / "not" / "there", clock.now)  # costs the note only


def test_secret_key(seen: Seen) -> None:
    assert seen("secret_key", secret_key_generated=True).state is State.yellow
    assert seen("secret_key", secret_key_generated=False).state is State.green


def test_sources(seen: Seen, people: People, clock: HeldClock) -> None:
    assert seen("sources").href == "/settings/sources"
    with unit_of_work() as uow:
        for name in ("wazuh", "suricata"):
            sources.create(uow, people.ana, name=name, connector=name)
    assert "2 of 2 sources are silent" in seen("sources").says

    def heard(name: str) -> None:
        with unit_of_work() as uow:
            sources.get(uow, name).last_seen_at = clock.now

    heard("wazuh")
    assert "1 of 2 sources are silent: suricata" in seen("sources").says
    heard("suricata")
    assert seen("sources").says == "2 sources are alive."
    clock.advance(hours=25)
    assert seen("sources").state is State.red
    with unit_of_work() as uow:
        for row in uow.query(Source).all():
            sources.disable(uow, people.ana, row.id)
    assert seen("sources").state is State.yellow


def test_yours(seen: Seen, people: People) -> None:
    assert seen("yours").href == "/settings/yours"
    with unit_of_work() as uow:
        rails.protect(uow, people.ana, kind="domain", value="example.org", reason="ours", own=True)
    assert seen("yours").state is State.green


def test_mail(seen: Seen) -> None:
    nobody = seen("mail", smtp_url=None)
    assert (nobody.state, nobody.href) == (State.yellow, "/settings/installation#outgoing")
    server = {"smtp_url": "smtp://soc:geheim@mail.example.org:587"}
    assert "most servers refuse" in seen("mail", **server, smtp_from="tocsin@localhost").says
    found = seen("mail", **server, smtp_from="soc@example.org")
    assert (found.state, found.says) == (State.green, "Mail leaves by mail.example.org:587 as soc@example.org.")
    assert seen("mail", smtp_url="ftp://x").state is State.red
