"""A checkpoint is a signed note as others write it, and is found again in a mail."""

from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from core import checkpoints
from core.checkpoints import Checkpoint, PublicKey
from core.errors import Invalid
from core.merkle import leaf_hash

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
RAW = KEY.public_key().public_bytes_raw()
AT = datetime(2026, 11, 3, 14, 0, 0, 250_000, tzinfo=UTC)


def made(size: int = 12_345) -> Checkpoint:
    """A checkpoint of tests."""
    return checkpoints.sign(KEY, "tocsin.test/journal", size, leaf_hash(b"x"), AT)


def test_keys_and_ids_are_those_of_the_specification() -> None:
    """The example key of c2sp.org/signed-note."""
    text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    key = PublicKey.read(text)
    assert (key.name, key.id.hex(), key.text) == ("example.com/foo", "530d903a", text)


def test_the_signature_is_over_the_text_and_no_more() -> None:
    """The example note of the specification, signed by the example key."""
    key = PublicKey.read("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    signature = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    import base64

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    decoded = base64.b64decode(signature)
    assert decoded[:4] == key.id
    Ed25519PublicKey.from_public_bytes(key.raw).verify(decoded[4:], b"This is an example message.\n")


@given(st.integers(0, 10**15), st.datetimes(min_value=datetime(2000, 1, 1)))
def test_it_reads_back_what_it_wrote(size: int, at: datetime) -> None:
    one = checkpoints.sign(KEY, "a.example/journal", size, leaf_hash(b"y"), at.replace(tzinfo=UTC))
    again = checkpoints.read(one.note)
    assert again == one
    assert again.signed_by(RAW)


def test_it_is_found_in_a_mail_a_quote_and_with_foreign_line_ends() -> None:
    one = made()
    mail = EmailMessage()
    mail["Subject"] = "ünder way"
    mail.set_content(f"Keep this.\n\n{one.note}\nBye — see you.\n", cte="quoted-printable")
    quoted = "".join(f"> {line}\n" for line in one.note.splitlines())
    for text in (mail.as_string(), quoted, f"Hello\n\n{one.note}".replace("\n", "\r\n")):
        assert checkpoints.read(text) == one


def test_a_changed_letter_is_no_longer_signed() -> None:
    note = made().note
    assert not checkpoints.read(note.replace("12345", "12346")).signed_by(RAW)
    assert not checkpoints.read(note.replace("14:00", "15:00")).signed_by(RAW)
    assert not checkpoints.read(note.replace("tocsin.test", "tocsin.best")).signed_by(RAW)
    assert not made().signed_by(Ed25519PrivateKey.generate().public_key().public_bytes_raw())


@pytest.mark.parametrize(
    "text", ["", "hello", "a/b\n12\nnot base64!\nat now\n\n\u2014 a/b AAAA\n", made().note[:-40]]
)
def test_what_is_none_is_refused(text: str) -> None:
    try:
        found = checkpoints.read(text)
    except Invalid:
        return
    assert not found.signed_by(RAW)


@pytest.mark.parametrize(
    "wrong", ["", "name", "name+00000000+AAAA", PublicKey("n", RAW).text.replace("n+", "m+")]
)
def test_a_mistyped_key_is_refused(wrong: str) -> None:
    with pytest.raises(Invalid, match="a letter of it is wrong"):
        PublicKey.read(wrong)
