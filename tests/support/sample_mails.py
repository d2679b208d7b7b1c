"""Mails as people and attackers send them, made for tests."""

from email.message import EmailMessage
from email.policy import SMTP

PHISH_LINK = "https://login.evil.example/reset?u=eva"


def phish(number: int = 1) -> EmailMessage:
    """What an attacker sends to Eva: HTML only, with a link that says something else, and a program."""
    mail = EmailMessage(policy=SMTP)
    mail["Authentication-Results"] = (
        "mx.example.org; spf=fail smtp.mailfrom=evil.example; dkim=none; dmarc=fail"
    )
    mail["From"] = '"IT Support" <it@evil.example>'
    mail["Reply-To"] = "collect@other.example"
    mail["To"] = "eva@example.org"
    mail["Subject"] = "Your password expires today"
    mail["Date"] = "Mon, 02 Mar 2026 08:00:00 +0100"
    mail["Message-ID"] = f"<phish-{number}@evil.example>"
    mail.set_content(
        f'<html><head><style>p{{}}</style></head><body><p>Click <a href="{PHISH_LINK}">https://intranet.example.org</a> now</p>'
        '<script>alert(1)</script><img src="https://track.evil.example/p.gif"></body></html>',
        subtype="html",
    )
    mail.add_attachment(
        b"MZ\x90\0" + b"\0" * 60, maintype="application", subtype="pdf", filename="in\u202evoice.pdf"
    )
    return mail


def forward(
    number: int = 1, sender: str = "Eva <eva@example.org>", words: str = "I clicked it on LAPTOP-7"
) -> EmailMessage:
    """Eva forwards it as an attachment."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = "phish@example.org"
    mail["Subject"] = "FW: Your password expires today"
    mail["Message-ID"] = f"<fw-{number}@example.org>"
    mail.set_content(words)
    mail.add_attachment(phish())
    return mail


def plain(
    subject: str = "My laptop was stolen", words: str = "In the train, LAPTOP-9", **headers: str
) -> EmailMessage:
    """Eva writes herself; `headers` are added, an underscore standing for a hyphen."""
    mail = EmailMessage(policy=SMTP)
    given = {
        "From": "Eva <eva@example.org>", "To": "soc@example.org", "Subject": subject,
        "Message_ID": f"<{abs(hash((subject, words)))}@example.org>",
    } | headers  # fmt: skip
    for name, value in given.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(words)
    return mail
