"""A file goes in by a form or the API and comes out in an archive that nothing opens by accident; who fetched it is written down."""

import io
from collections.abc import Callable
from typing import Any

import incident_bench as bench
import pytest
import pyzipper
from at_the_pages import Reader
from people_here import People
from sample_mails import phish

from cli import assemble
from core import live
from core.settings import configure, settings
from core.types import Ref
from incidents import lifecycle
from ingest import mail_pictures
from core.db import unit_of_work

pytestmark = pytest.mark.usefixtures("sqlite_database")

assemble.load()
PROGRAM = b"MZ" + b"\x90" * 3000
SCRIPT = "<script>alert(1)</script>\u202e\n".encode()


def opened(people: People) -> str:
    """The key of a new incident."""
    with unit_of_work() as uow:
        return lifecycle.open_by_hand(uow, people.rita, lifecycle.IncidentDraft(title="A laptop is gone")).key


def unpacked(archive: bytes) -> dict[str, bytes]:
    """What is in the archive, as another program than ours reads it."""
    with pyzipper.AESZipFile(io.BytesIO(archive)) as zipped:
        assert all(entry.flag_bits & 1 for entry in zipped.infolist()), "every member is encrypted"
        zipped.setpassword(b"infected")
        return {name: zipped.read(name) for name in zipped.namelist()}


def test_a_file_goes_in_and_out(people: People) -> None:
    rita, key = Reader(people.rita), opened(people)
    rita.post(
        f"/incidents/{key}/attachments",
        files=[("files", ("../inv\u202eoice.exe", PROGRAM)), ("files", ("page.html", SCRIPT))],
        note="from the mail",
    )
    page = rita.get(f"/incidents/{key}")
    assert "Windows program" in page
    assert "inv_oice.exe" in page
    listed = rita.fetch(f"/api/v1/incidents/{key}/attachments").json()["items"]
    program, script = listed
    answer = rita.fetch(f"/attachments/{program['id']}")
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="{key}-')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert PROGRAM[:100] not in answer.content
    assert unpacked(answer.content) == {"inv_oice.exe": PROGRAM}

    text = rita.fetch(f"/attachments/{script['id']}/text")
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "sandbox" in text.headers["Content-Security-Policy"]
    assert text.text == "<script>alert(1)</script>[U+202E]\n"
    rita.get(f"/attachments/{program['id']}/text", 422)

    log = Reader(people.mara).get("/journal/access")
    assert "downloaded" in log
    assert "read as text" in log
    rita.get("/journal/access", 403)


def test_a_note_brings_its_files(people: People) -> None:
    rita, key = Reader(people.rita), opened(people)
    rita.post(f"/incidents/{key}/comment", body="What she saw", files=[("files", ("a.txt", b"hello"))])
    rita.post(f"/incidents/{key}/comment", body="Nothing with this one")
    (file,) = rita.fetch(f"/api/v1/incidents/{key}/attachments").json()["items"]
    assert file["comment_id"]
    rita.post(f"/incidents/{key}/attachments", 422)


def test_a_restricted_incident_keeps_its_files(people: People) -> None:
    rita, key = Reader(people.mara), opened(people)
    rita.post(f"/incidents/{key}/attachments", files=[("files", ("a.txt", b"hello"))])
    (file,) = rita.fetch(f"/api/v1/incidents/{key}/attachments").json()["items"]
    rita.fetch(f"/attachments/{file['id']}")
    with unit_of_work() as uow:
        lifecycle.restrict(uow, people.mara, bench.UUID(file["incident_id"]), [])
    for other in (people.ana, people.raul):
        for path in (f"/attachments/{file['id']}", f"/attachments/{file['id']}/text"):
            Reader(other).get(path, 404)
        Reader(other).get(f"/api/v1/attachments/{file['id']}", 404)
        Reader(other).get(f"/api/v1/attachments/{file['id']}/content", 404)
    assert "a.txt" not in Reader(people.aldo).get("/journal/access")
    assert "a.txt" in rita.get("/journal/access")


def test_a_mail_is_looked_at_as_a_picture(people: People, drain: Callable[..., int]) -> None:
    rita, key = Reader(people.rita), opened(people)
    raw = phish().as_bytes()
    rita.post(
        f"/incidents/{key}/attachments", files=[("files", ("phish.eml", raw)), ("files", ("a.txt", b"hello"))]
    )
    mail, text = rita.fetch(f"/api/v1/incidents/{key}/attachments").json()["items"]
    shown = rita.get(f"/incidents/{key}")
    assert shown.count(f"/attachments/{mail['id']}/picture") == 1
    assert f"/attachments/{text['id']}/picture" not in shown
    page = rita.get(f"/attachments/{mail['id']}/picture")
    assert "The picture is being drawn" in page
    assert f'data-live="attachment:{mail["id"]}"' in page
    for path in (f"/attachments/{mail['id']}/picture.png", f"/api/v1/attachments/{mail['id']}/picture"):
        assert "being drawn" in rita.fetch(path, 409).text
    told: list[Ref] = []
    live.relay_through(told.extend)
    assert drain(mail_pictures.WORK) == 1, "once for a mail, however many ask"
    live.relay_through(None)
    assert Ref("attachment", mail["id"]) in told, "an open page shows it by itself"
    page = rita.get(f"/attachments/{mail['id']}/picture")
    assert 'src="data:image/png;base64,iVBOR' in page
    assert "the same stands below as text" in page
    assert "leads to hxxps://login[.]evil[.]example" in page
    assert "login.evil.example" not in page, "nothing of the mail is a link"
    for path in (f"/attachments/{mail['id']}/picture.png", f"/api/v1/attachments/{mail['id']}/picture"):
        answer = rita.fetch(path)
        assert answer.headers["Content-Type"] == "image/png"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.content.startswith(b"\x89PNG")
    rita.get(f"/attachments/{text['id']}/picture", 422)
    rita.get(f"/api/v1/attachments/{text['id']}/picture", 422)
    assert "looked at the picture of" in Reader(people.mara).get("/journal/access")
    bad = (
        b"From: a@b.example\r\nSubject: x\r\n" + b"Content-Type: text/plain; a=" + b"x" * 40_000 + b"\r\n\r\n"
    )
    rita.post(f"/incidents/{key}/attachments", files=[("files", ("bad.eml", bad))])
    bad_mail = rita.fetch(f"/api/v1/incidents/{key}/attachments").json()["items"][2]
    drain(mail_pictures.WORK)
    assert "There is no picture of this mail" in rita.get(f"/attachments/{bad_mail['id']}/picture")
    with unit_of_work() as uow:
        lifecycle.restrict(uow, people.mara, bench.UUID(mail["incident_id"]), [])
    for path in (f"/attachments/{mail['id']}/picture", f"/api/v1/attachments/{mail['id']}/picture"):
        Reader(people.raul).get(path, 404)


def test_what_is_too_large_is_refused_before_and_while_it_comes(people: People) -> None:
    rita, key = Reader(people.rita), opened(people)
    before = settings()
    configure(before.with_(max_upload=10_000))
    try:
        path = f"/incidents/{key}/attachments"
        rita.post(path, 413, files=[("files", ("a", b"x" * 10_001))])
        rita.post(path, 413, files=[("files", ("a", b"x" * 400_000))])

        async def endless() -> Any:
            for _ in range(100):
                yield b"x" * 10_000

        headers = {"Content-Type": "application/octet-stream", "X-CSRF-Token": rita.csrf}
        answer = rita._send("POST", f"/api/v1{path}", content=endless(), headers=headers)
        assert answer.status_code in (413, 422)
        form = {**headers, "Content-Type": "multipart/form-data; boundary=x"}
        answer = rita._send("POST", f"/api/v1{path}", content=endless(), headers=form)
        assert answer.status_code in (400, 413), answer.text
        rita.post(path, files=[("files", ("a", b"x" * 10_000))])
    finally:
        configure(before)


def test_the_api_takes_and_gives_files(people: People) -> None:
    rita, key = Reader(people.rita), opened(people)
    headers = {"X-CSRF-Token": rita.csrf}
    made = rita._send(
        "POST", f"/api/v1/incidents/{key}/attachments", files={"file": ("a.exe", PROGRAM)},
        data={"note": "from the disk"}, headers=headers,
    )  # fmt: skip
    assert made.status_code == 201, made.text
    assert made.json()["note"] == "from the disk"
    content = rita.fetch(f"/api/v1/attachments/{made.json()['id']}/content")
    assert unpacked(content.content) == {"a.exe": PROGRAM}
