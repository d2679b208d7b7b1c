"""Any HTTP API: one request, for products without a file of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from connectors.contract import ActionContext, ActionFailed
from connectors.declared import from_text
from core.net.errors import NetFailed
from core.net.http import Request, Response


def _exchange(context: ActionContext, method: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    path = unquote(str(inputs["path"]))
    if not path.startswith("/") or ".." in path.split("/") or "\\" in path:
        raise ActionFailed("The path begins with / and stays below the base address.")
    headers = {str(name): str(value) for name, value in (inputs.get("headers") or {}).items()}
    if context.secrets.get("token"):
        headers["Authorization"] = f"Bearer {context.secrets['token']}"
    if method not in ("GET", "HEAD"):
        headers.setdefault("Idempotency-Key", context.key)
    url = str(context.settings["base_url"]).rstrip("/") + quote(path, safe="/:@!$&'()*+,;=~-._")
    request = Request(
        method=method, url=url, headers=headers, params=inputs.get("params") or {}, json=inputs.get("json") if method != "GET" else None
    )  # fmt: skip
    answer = context.send(request)
    if answer.status >= 400:
        surely_not = answer.status < 500
        raise ActionFailed(
            f"The other side answered {answer.status}.", done=False if surely_not or method == "GET" else None, retryable=answer.status in (429, 503)
        )  # fmt: skip
    return {"status": answer.status, "body": _body(answer)}


def _body(answer: Response) -> Any:
    try:
        return answer.json()
    except NetFailed:
        return answer.content[:16_384].decode("utf-8", "replace")


def get(context: ActionContext, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Read: {status, body}; the body decoded when it is JSON, else its first 16 KiB as text."""
    return _exchange(context, "GET", inputs)


def request(context: ActionContext, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Send with the method given: {status, body}. A 5xx answer leaves it unknown whether it was done."""
    return _exchange(context, str(inputs["method"]), inputs)


def health(context: ActionContext) -> str:
    """Read the health path."""
    status = _exchange(context, "GET", {"path": context.settings.get("health_path") or "/"})["status"]
    return f"It answers {status}."


CONNECTOR = from_text(
    r"""
connector: http
name: HTTP request
kind: generic
docs: https://www.rfc-editor.org/rfc/rfc9110

settings:
  base_url: {type: url, required: true, description: "Requests go to this address and below it only"}
  health_path: {type: string, default: "/", description: "A path that answers when all is well"}
secrets:
  token: {description: "Sent as a bearer token when set"}
health: {run: health}

actions:
  get:
    title: Read from an HTTP API
    verb: http.get
    effect: read
    pap_limit: amber
    input:
      path: {type: string, required: true, pattern: "/[^\\s?#]*", description: "A path below the base address"}
      params: {type: object, description: "Query parameters"}
      headers: {type: object, description: "More headers"}
    run: get
    instructions: "Read {{ inputs.path }} by hand and write down what it says."
  request:
    title: Send an HTTP request
    description: What the other side does with it Tocsin cannot know, so it counts as disruptive and is never sent twice by itself.
    verb: http.request
    effect: disruptive
    input:
      method: {type: string, required: true, enum: [POST, PUT, PATCH, DELETE], description: "The method"}
      path: {type: string, required: true, pattern: "/[^\\s?#]*", description: "A path below the base address"}
      params: {type: object, description: "Query parameters"}
      headers: {type: object, description: "More headers"}
      json: {type: object, description: "The body"}
      target: {type: string, entity: auto, description: "What it acts on, so that protected things are spared"}
    run: request
    no_undo: Only the other side knows what taking it back means; a connector of its own can declare an undo.
    instructions: "Send {{ inputs.method }} {{ inputs.path }} by hand and write down the answer."
""",
    "http",
    {"get": get, "request": request, "health": health},
)
