"""Errors as the asker can read them: problem+json (RFC 9457) for programs, a page that says what to do for people."""

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from core import logs
from core.errors import Invalid, NeedsSecondFactor, Problem, TocsinError, Unauthenticated
from web import stepping_up
from web.languages import gettext as _
from web.pages import Page, show

log = logs.get(__name__)


@dataclass(kw_only=True)
class ErrorPage(Page, template="error.html"):
    """What went wrong, in one sentence, and what to do next."""

    status: int
    heading: str
    message: str
    problems: list[Problem]
    back: str
    reference: str


def wants_json(request: Request) -> bool:
    """Whether the asker is a program."""
    if request.url.path.startswith(("/api/", "/ingest", "/v2/", "/healthz", "/readyz")):
        return True
    accept = request.headers.get("Accept", "")
    return "json" in accept and "text/html" not in accept


def headings() -> dict[int, str]:
    """What each status means for a person."""
    return {
        401: _("Please sign in"),
        403: _("You may not do this"),
        404: _("There is nothing here"),
        405: _("This cannot be done here"),
        409: _("That is not possible just now"),
        412: _("Somebody was faster"),
        413: _("That is too large"),
        422: _("Something needs correcting"),
        429: _("Too many tries"),
        500: _("Something went wrong on our side"),
        503: _("Tocsin is busy"),
    }


def answer(
    request: Request, status: int, code: str, message: str, problems: list[Problem], headers: dict[str, str]
) -> Response:
    """One error, rendered for whoever asked."""
    if wants_json(request):
        body: dict[str, object] = {
            "type": f"about:blank#{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": message,
            "code": code,
            "instance": request.url.path,
        }
        if problems:
            body["problems"] = [{"path": problem.path, "message": problem.message} for problem in problems]
        return JSONResponse(body, status, headers, media_type="application/problem+json")
    back = request.headers.get("Referer") or "/"
    page = ErrorPage(
        status=status,
        heading=headings().get(status, _("That did not work")),
        message=message,
        problems=problems,
        back=back if back.startswith((str(request.base_url), "/")) else "/",
        reference=logs.correlation.get() or "",
    )
    response = show(request, page, status=status)
    response.headers.update(headers)
    return response


def known(request: Request, error: Exception) -> Response:
    """An error of ours: its own status, code and sentence."""
    assert isinstance(error, TocsinError)  # registered for this class only
    headers: dict[str, str] = {}
    if (wait := getattr(error, "retry_after", None)) is not None:
        headers["Retry-After"] = str(wait)
    if isinstance(error, Unauthenticated) and not wants_json(request):
        path = request.url.path
        if request.headers.get("HX-Request") == "true":
            return Response(status_code=204, headers={"HX-Redirect": "/login"})
        query = f"?{request.url.query}" if request.url.query else ""
        target = (
            "/login"
            if path in ("/", "/login") or request.method != "GET"
            else f"/login?next={quote(path + query)}"
        )
        return RedirectResponse(target, 303)
    if isinstance(error, NeedsSecondFactor) and not wants_json(request) and stepping_up.can_ask(request):
        return stepping_up.ask(request, error)
    if error.status >= 500:
        log.error(error.message, exc_info=error)
    problems = error.problems if isinstance(error, Invalid) else []
    return answer(request, error.status, error.code, error.message, problems, headers)


def by_framework(request: Request, error: Exception) -> Response:
    """An error the framework raised: no such route, wrong method."""
    assert isinstance(error, HTTPException)  # registered for this class only
    sentences = {
        404: _("No page has this address. It may have been moved, or the link was cut short."),
        405: _("This address does not answer %(method)s.") % {"method": request.method},
    }
    message = sentences.get(error.status_code, str(error.detail))
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return answer(request, error.status_code, code, message, [], dict(error.headers or {}))


def unreadable(request: Request, error: Exception) -> Response:
    """A request whose parameters do not have the declared form."""
    assert isinstance(error, RequestValidationError)  # registered for this class only
    problems = [
        Problem(
            ".".join(str(part) for part in found["loc"] if part not in ("body", "query", "path")),
            found["msg"],
        )
        for found in error.errors()
    ]
    in_path = any(found["loc"][0] == "path" for found in error.errors())
    if in_path:
        return answer(request, 404, "not-found", _("No page has this address."), [], {})
    return answer(request, 422, "invalid", _("The request could not be read."), problems, {})


def unforeseen(request: Request, error: Exception) -> Response:
    """A defect: logged with its trace, answered without it."""
    log.error("unforeseen error", exc_info=error)
    message = _(
        "This is a defect in Tocsin. The log has the details under the reference below; nothing was changed."
    )
    return answer(request, 500, "error", message, [], {})


def register(app: FastAPI) -> None:
    """Have every error of the application answered here."""
    app.add_exception_handler(TocsinError, known)
    app.add_exception_handler(HTTPException, by_framework)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(500, unforeseen)
