"""Mail handed to a real server, its answers told apart."""

import socket
import threading
from email.message import EmailMessage, Message

import pytest
from mail_server import MailServer

from core.errors import Invalid
from core.net import Egress, NetFailed, NetRefused, NetTimeout, SmtpRefused
from core.net.smtp import read_url, send

HERE = Egress(allow=("127.0.0.1",))


def mail(**fields: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in {
        "From": "Tocsin <tocsin@example.org>",
        "To": "a@example.org",
        "Subject": "Ring",
        **fields,
    }.items():
        message[name] = value
    message.set_content("Línea\n.dot\n..two\nend\n")
    return message


def test_a_message_arrives_and_the_queue_id_comes_back(smtp_server: MailServer) -> None:
    reply = send(smtp_server.url, mail(Cc="b@example.org", Bcc="c@example.org"), egress=HERE)
    assert reply == "250 2.0.0 Ok: queued as T000001"
    assert reply.refused == {}
    got = smtp_server.messages[0]
    assert got["X-Envelope-From"] == "tocsin@example.org"
    assert got["X-Envelope-To"] == "a@example.org, b@example.org, c@example.org"
    assert got["Bcc"] is None
    assert got.get_content().replace("\r\n", "\n") == "Línea\n.dot\n..two\nend\n"
    send(smtp_server.url, mail(), egress=HERE, sender="")
    assert smtp_server.messages[1]["X-Envelope-From"] == "<>"


@pytest.mark.parametrize(("answer", "permanent"), [("451 4.3.0 try later", False), ("554 5.7.1 spam", True)])
def test_a_refusal_says_whether_to_try_again(smtp_server: MailServer, answer: str, permanent: bool) -> None:
    smtp_server.refuse_with = answer
    with pytest.raises(SmtpRefused) as caught:
        send(smtp_server.url, mail(), egress=HERE)
    assert (caught.value.permanent, caught.value.sent) == (permanent, False)
    assert answer in str(caught.value)


def test_the_rules_hold_for_mail_too(smtp_server: MailServer) -> None:
    with pytest.raises(NetRefused, match="loopback"):
        send(smtp_server.url, mail(), egress=Egress(allow_private=True))
    with pytest.raises(NetRefused, match="muzzled"):
        send("smtp://mail.example.org", mail(), egress=Egress(muzzled=True))
    assert smtp_server.messages == []


def test_a_password_never_travels_without_tls(smtp_server: MailServer) -> None:
    url = smtp_server.url.replace("smtp://", "smtp://me:hunter2@")
    with pytest.raises(NetFailed, match="without TLS") as caught:
        send(url, mail(), egress=HERE)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(NetFailed, match="does not offer STARTTLS"):
        send(f"{smtp_server.url}?starttls=1", mail(), egress=HERE)
    assert not caught.value.sent


@pytest.mark.parametrize("message", [
    mail(To="a@example.org, b"), mail(To="a b@example.org"), mail(To=""), mail(From=""),
])  # fmt: skip
def test_addresses_that_are_none(message: EmailMessage) -> None:
    with pytest.raises(Invalid):
        send("smtp://127.0.0.1:1", message, egress=HERE)


def test_no_header_can_begin_another_line() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        mail(Subject="x\r\nBcc: evil@example.org")
    message = mail()
    message._headers.append(("X-Note", "x\r\nBcc: evil@example.org"))  # type: ignore[attr-defined]  # what no caller should
    with pytest.raises(Invalid, match="line break"):
        send("smtp://127.0.0.1:1", message, egress=HERE)
    with pytest.raises(Invalid, match="no mail address"):
        send("smtp://127.0.0.1:1", mail(), egress=HERE, sender="a@example.org>\r\nRCPT TO:<b@example.org")
    assert isinstance(message, Message)


def scripted(*answers: bytes | None) -> str:
    """The URL of a server that says these lines in turn, None: nothing more."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as connection:
            for answer in answers:
                if answer is None:
                    threading.Event().wait(20)
                    return
                connection.sendall(answer)
                connection.recv(65536)

    threading.Thread(target=serve, daemon=True).start()
    return f"smtp://127.0.0.1:{listening.getsockname()[1]}"


def test_a_cut_before_the_text_is_safe_and_after_it_unknown() -> None:
    until_data = (b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n")
    with pytest.raises(NetFailed, match="closed") as caught:
        send(scripted(*until_data[:2]), mail(), egress=HERE)
    assert not caught.value.sent
    with pytest.raises(NetFailed) as caught:
        send(scripted(*until_data, b"354 go\r\n"), mail(), egress=HERE)
    assert caught.value.sent
    with pytest.raises(NetTimeout) as caught:
        send(scripted(*until_data, b"354 go\r\n", None), mail(), egress=HERE, timeout=2)
    assert caught.value.sent
    with pytest.raises(NetTimeout) as caught:
        send(scripted(None), mail(), egress=HERE, timeout=0.3)
    assert not caught.value.sent


def test_one_refused_recipient_does_not_stop_the_others() -> None:
    url = scripted(
        b"220 hi\r\n",
        b"250 hi\r\n",
        b"250 ok\r\n",
        b"550 no such user\r\n",
        b"250 ok\r\n",
        b"354 go\r\n",
        b"250 queued\r\n",
    )
    reply = send(url, mail(Cc="b@example.org"), egress=HERE)
    assert (reply, dict(reply.refused)) == ("250 queued", {"a@example.org": "550 no such user"})


def test_urls() -> None:
    server = read_url("smtps://me%40x:p%2Fw@mx.example.org?verify=0")
    assert (server.port, server.user, server.password, server.implicit_tls, server.verify) == (
        465,
        "me@x",
        "p/w",
        True,
        False,
    )
    assert read_url("smtp://u:p@h").port == 587
    assert read_url("smtp://h").port == 25
    assert "p/w" not in repr(server)
    for url in ("http://h", "smtp://", "smtp://h:port", "smtp://h?startls=1"):
        with pytest.raises(Invalid):
            read_url(url)
