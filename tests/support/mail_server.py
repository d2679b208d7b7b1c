"""A real SMTP server that keeps what it is given, and can refuse or be slow on request."""

import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from free_ports import PATIENT, free_port, wait_until


class MailServer:
    """Listens on 127.0.0.1; each message has its envelope in the X-Envelope-From and X-Envelope-To fields."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"smtp://127.0.0.1:{self.port}"
        self.refuse_with: str | None = None
        self._messages: list[EmailMessage] = []
        self._lock = threading.Lock()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    @property
    def messages(self) -> list[EmailMessage]:
        """What was accepted so far, oldest first."""
        with self._lock:
            return list(self._messages)

    def start(self) -> None:
        """Listen."""
        self._controller.start()

    def stop(self) -> None:
        """Stop listening."""
        self._controller.stop()

    def wait_for(self, count: int, seconds: float = PATIENT) -> list[EmailMessage]:
        """The messages, once there are at least `count`."""
        wait_until(lambda: len(self.messages) >= count, seconds=seconds, what=f"{count} mails")
        return self.messages

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep the message and answer with a queue id, or refuse it as the test asked."""
        if self.refuse_with is not None:
            return self.refuse_with
        content: Any = envelope.content
        message = message_from_bytes(content, policy=policy.default)
        message["X-Envelope-From"] = envelope.mail_from or ""
        message["X-Envelope-To"] = ", ".join(envelope.rcpt_tos)
        with self._lock:
            self._messages.append(message)
            return f"250 2.0.0 Ok: queued as T{len(self._messages):06d}"
