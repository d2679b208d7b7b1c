"""The report form for people without an account, and the page where they see how it goes on; both by what they hold alone."""

import hmac
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from core import chosen, limits, logs
from core.db import reading, unit_of_work
from core.errors import Invalid, NotFound, Problem, TocsinError
from core.secrets import sign, unsign
from core.settings import Settings
from incidents import mails, reporter_links, reporting
from incidents.reporting import ReportDraft, Status
from incidents.stages import Stage
from web import uploads
from web.languages import gettext as _
from web.pages import Page, show, then
from web.security import Fields, Form, open_to_all

router = APIRouter(include_in_schema=False)
log = logs.get(__name__)

OPEN_BECAUSE = "reporters have no account: a signed form, limits by address, and a code where one is set"
HOLDER = "the unguessable link is the proof"
MOST_FILES = 3
_PURPOSE = "report.form"
GOOD_FOR = 12 * 3600
"""Seconds for which an open form can be sent."""
FROM_ONE, FROM_ALL = 6, 120
"""Reports in an hour from one address, and from all together."""
WORDS_FROM_ONE, WORDS_FROM_ALL = 30, 600
"""Messages in an hour on status pages."""


@dataclass(kw_only=True)
class ReportPage(Page, template="report_form.html"):
    """The form."""

    entered: dict[str, str]
    problems: list[Problem]
    token: str
    coded: bool
    most_kib: int


@dataclass(kw_only=True)
class StatusPage(Page, template="report_status.html"):
    """How it goes on, for whoever holds the link."""

    status: Status
    path: str
    how: str
    next: str
    problems: list[Problem]
    entered: str
    mailed: bool


@router.get("/report")
def form(request: Request) -> Response:
    """The form, where an administrator has switched it on."""
    return _form(request, _switched_on(), {}, [])


def _form(
    request: Request, given: Settings, entered: dict[str, str], problems: list[Problem]
) -> Response:
    page = ReportPage(
        entered=entered,
        problems=problems,
        token=sign(_PURPOSE, {}, GOOD_FOR),
        coded=given.report_code is not None,
        most_kib=given.max_upload // 1024,
    )
    return show(request, page, status=422 if problems else 200)


@router.post("/report", dependencies=[open_to_all(OPEN_BECAUSE)])
def send(request: Request, form: Form) -> Response:
    """Take a report in, and go to its status page."""
    given = _switched_on()
    limits.take("report", _address(request), most=FROM_ONE, overall=FROM_ALL)
    entered = {name: form.get(name) for name in ("subject", "text", "name", "email")}
    if form.get("website"):  # nobody sees this field: who fills it in is a program
        log.info("a report form was filled in by a program and let go")
        return RedirectResponse("/report", 303)
    try:
        unsign(_PURPOSE, form.get("token"))
        _check_code(form, given.report_code)
        draft = ReportDraft(
            subject=entered["subject"], text=entered["text"], name=entered["name"], email=_email(entered["email"]),
            files=uploads.sent(form, "files", MOST_FILES),
        )  # fmt: skip
        with unit_of_work() as uow:
            reporter = reporting.receive(uow, draft, into=mails.same_wave(uow, draft.files))
            path = reporter_links.status_path(reporter)
            if reporting.may_thank(uow, reporter.email):
                reporting.thank(uow, reporter)
    except TocsinError as error:
        return _form(request, given, entered, getattr(error, "problems", None) or [Problem("", error.message)])
    return then(path, _("Thank you. We have your report; keep the address of this page."))


def _switched_on() -> Settings:
    with reading() as session:
        given = chosen.effective(session)
    if not given.report_form:
        raise NotFound(_("Reports are not taken here. Call your security team instead."))
    return given


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _check_code(form: Fields, code: str | None) -> None:
    if code is not None and not hmac.compare_digest(form.get("code").encode(), code.encode()):
        message = _("This is not the code. It stands where you found the address of this page.")
        raise Invalid(message, [Problem("code", message)])


def _email(text: str) -> str | None:
    if not text:
        return None
    if len(text) > 254 or not reporting.is_address(text):
        message = _("“%(text)s” is not a mail address; leave it empty if you have none.") % {
            "text": text[:80]
        }
        raise Invalid(message, [Problem("email", message)])
    return text


# ---------------------------------------------------------------------------------------------- how it goes on


def stage_words() -> dict[Stage, tuple[str, str]]:
    """What a stage means for somebody outside, and what comes next."""
    look = _("We look at what you sent, and write to you if we need to know more.")
    work = _("We go on until it is safe again. You need not do anything, unless we write to you.")
    return {
        Stage.new: (_("We have your report"), look),
        Stage.triage: (_("Somebody is looking at your report"), look),
        Stage.investigate: (_("We are finding out what happened"), work),
        Stage.contain: (_("We are working on it"), work),
        Stage.eradicate: (_("We are working on it"), work),
        Stage.recover: (_("We are putting things right again"), work),
        Stage.review: (_("The work is done; we look back at it"), _("There is nothing more for you to do.")),
        Stage.closed: (_("We are done with your report"), _("Thank you. If it happens again, write here or report it anew.")),
    }  # fmt: skip


@router.get("/report/{token}")
def status(request: Request, token: str) -> Response:
    """How it goes on."""
    return _status(request, token)


def _status(
    request: Request, token: str, problems: list[Problem] | None = None, entered: str = ""
) -> Response:
    with reading() as session:
        reporter = reporter_links.by_status(session, token)
        if reporter is None:
            raise NotFound(
                _("This link is not valid, or it has been ended. Ask your security team for a new one.")
            )
        told = reporting.status(session, reporter)
        sends = chosen.effective(session).smtp_url is not None
    vague = (_("We are working on it"), _("We write to you when we need you, or when it is over."))
    how, following = stage_words()[told.stage] if told.stage is not None else vague
    page = StatusPage(
        status=told,
        path=f"/report/{token}",
        how=_("We wait for your answer") if told.waits_for_you and not told.closed else how,
        next=_("Please answer our question below.") if told.waits_for_you and not told.closed else following,
        problems=problems or [],
        entered=entered,
        mailed=reporter.email is not None and sends,
    )
    return show(request, page, status=422 if problems else 200)


@router.post("/report/{token}", dependencies=[open_to_all(HOLDER)])
def add(request: Request, form: Form, token: str) -> Response:
    """Add something to a report, or answer what was asked."""
    limits.take("report words", _address(request), most=WORDS_FROM_ONE, overall=WORDS_FROM_ALL)
    text = form.get("text")
    try:
        files = uploads.sent(form, "files", MOST_FILES)
        with unit_of_work() as uow:
            reporter = reporter_links.by_status(uow, token)
            if reporter is None:
                raise NotFound(
                    _("This link is not valid, or it has been ended. Ask your security team for a new one.")
                )
            reporting.add(uow, reporter, text, via="page", files=files)
    except NotFound:
        raise
    except TocsinError as error:
        return _status(request, token, getattr(error, "problems", None) or [Problem("", error.message)], text)
    return then(f"/report/{token}", _("We have it, thank you."))
