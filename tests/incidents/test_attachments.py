"""Files of incidents are stored once by their hash, told in the journal, and seen by those who see the incident."""

import hashlib
import io
import os
from uuid import UUID

import incident_bench as bench
import pytest
from sqlalchemy import func, select

from core import access, blobs, retention
from core.access import Access
from core.blobs import PART, Blob, BlobPart
from core.db import reading, unit_of_work
from core.errors import Forbidden, Invalid, NotFound, TooLarge
from core.types import Ref
from incidents import attachments, comments, lifecycle, observables
from incidents.attachments import Upload
from incidents.models import Attachment
from incidents.visibility import belongs_to_visible

pytestmark = pytest.mark.usefixtures("database")


def upload(content: bytes, name: str = "invoice.exe") -> Upload:
    """A file as the web hands it over."""
    return Upload(name, blobs.measure(io.BytesIO(content), 10 * 1024 * 1024))


def added(incident_id: UUID, content: bytes, name: str = "invoice.exe") -> Attachment:
    """The file, as Ann added it."""
    with unit_of_work() as uow:
        return attachments.add(uow, bench.ANN, incident_id, upload(content, name))


def test_a_file_is_kept_in_parts_once_and_comes_back_whole() -> None:
    content = b"MZ" + os.urandom(2 * PART + 77)
    incident = bench.opened()
    first, again = added(incident.id, content), added(bench.opened().id, content, "renamed.pdf")
    assert first.digest == again.digest == hashlib.sha256(content).hexdigest()
    assert (first.kind, first.size) == ("Windows program", len(content))
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(Blob)) == 1
        sizes = session.scalars(select(func.length(BlobPart.content)).order_by(BlobPart.number)).all()
        assert blobs.get(session, first.digest) == content
    assert list(sizes) == [PART, PART, 79]
    assert b"".join(blobs.parts(first.digest)) == content


def test_the_story_tells_it_and_its_hash_is_an_observable() -> None:
    incident = bench.opened()
    file = added(incident.id, b"\x7fELF" + b"\0" * 40, "dropper")
    added(incident.id, b"\x89PNG\r\n\x1a\n....", "screenshot.png")
    assert bench.verbs("attachment", file.id) == ["attachment.added"]
    assert bench.verbs("incident", incident.id)[:2] == ["attachment.added", "attachment.added"]
    with reading() as session:
        seen = observables.of_incident(session, bench.ANN, incident.id)
    assert [(one.type, one.value) for one in seen] == [("file-hash", file.digest)], "a picture's hash is noise"


def test_files_go_to_comments_of_the_same_incident_only() -> None:
    incident, other = bench.opened(), bench.opened()
    with unit_of_work() as uow:
        said = comments.add(uow, bench.ANN, incident.id, "The mail she got")
        uow.flush()
        file = attachments.add(uow, bench.ANN, incident.id, upload(b"From: x"), comment_id=said.id)
        assert file.comment_id == said.id
    with unit_of_work() as uow, pytest.raises(NotFound, match="no such comment"):
        attachments.add(uow, bench.ANN, other.id, upload(b"From: x"), comment_id=said.id)


def test_who_may_not_see_the_incident_gets_nothing_of_its_files() -> None:
    incident = bench.opened()
    file = added(incident.id, b"secret")
    with unit_of_work() as uow:
        lifecycle.restrict(uow, bench.ANN, incident.id, [])
    access.note(bench.ANN, "downloaded", file.ref, file.name, within=incident.id)
    with reading() as session:
        assert attachments.one(session, bench.ANN, file.id)[0].name == "invoice.exe"
        with pytest.raises(NotFound):
            attachments.one(session, bench.BOB, file.id)
        assert attachments.of_incident(session, bench.BOB, incident.id) == []
        assert access.log(session, belongs_to_visible(bench.BOB, Access.within)) == []
        assert len(access.log(session, belongs_to_visible(bench.ANN, Access.within))) == 1
    with unit_of_work() as uow, pytest.raises(NotFound):
        attachments.add(uow, bench.BOB, incident.id, upload(b"x"))
    with unit_of_work() as uow, pytest.raises(Forbidden):
        attachments.add(uow, bench.READER, incident.id, upload(b"x"))


def test_what_is_empty_or_too_large_is_refused() -> None:
    incident = bench.opened()
    with pytest.raises(TooLarge):
        blobs.measure(io.BytesIO(b"x" * 2000), 1999)
    with unit_of_work() as uow, pytest.raises(Invalid, match="empty"):
        attachments.add(uow, bench.ANN, incident.id, upload(b""))


def test_text_is_read_to_a_bound_and_nothing_else_is() -> None:
    incident = bench.opened()
    long = added(incident.id, b"line\n" * 200_000, "log.txt")
    program = added(incident.id, b"MZ\0\0", "log.txt")
    with reading() as session:
        text = attachments.text_of(session, long)
        with pytest.raises(Invalid, match="no text"):
            attachments.text_of(session, program)
    assert len(text) < attachments.MOST_TEXT + 20
    assert text.endswith("[…]\n")


def test_the_access_log_is_forgotten_after_its_own_time() -> None:
    access.note(bench.ANN, "downloaded", Ref("attachment", "x"), "a.zip")
    with reading() as session:
        assert [one.actor_name for one in access.log(session)] == ["Ann"]
        found, _ = access.ACCESSES.look(session, access.log(session)[0].at, retention.NOBODY)
        assert found == [], "it is kept until it is old"
        later = access.log(session)[0].at.replace(year=2099)
        found, _ = access.ACCESSES.look(session, later, retention.NOBODY)
    with unit_of_work() as uow:
        assert access.ACCESSES.forget(uow, later, found) == 1
