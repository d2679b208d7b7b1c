"""A person at a browser without JavaScript: follows links, fills in the forms that the page really has, keeps cookies."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from running_tocsin import Tocsin


@dataclass
class PageForm:
    """One form of a page: where it goes and what its fields hold."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    """Collects links, forms, headings and visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[PageForm] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self._inside: list[str] = []
        self._textarea: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links, forms and their fields."""
        given = {name: value or "" for name, value in attrs}
        if tag in ("script", "style", "template"):
            self._inside.append(tag)
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "h1":
            self.headings.append("")
            self._inside.append(tag)
        if tag == "form":
            self.forms.append(PageForm(given.get("action", ""), given.get("method", "get").lower()))
        if self.forms and given.get("name"):
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str]) -> None:
        form, name = self.forms[-1], given["name"]
        if tag == "button":
            form.buttons[name] = given.get("value", "")
        elif tag == "textarea":
            self._textarea = name
            form.fields.setdefault(name, [""])
        elif tag == "select":
            self._select = name
            form.fields.setdefault(name, [])
        elif tag == "input":
            if given.get("type") in ("checkbox", "radio") and "checked" not in given:
                return
            form.fields.setdefault(name, []).append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave what was entered."""
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()
        if tag == "textarea":
            self._textarea = None

    def handle_data(self, data: str) -> None:
        """Text, or what a text area holds."""
        if self._textarea is not None:
            self.forms[-1].fields[self._textarea] = [data]
        if "h1" in self._inside:
            self.headings[-1] += data
        if not {"script", "style", "template"} & set(self._inside):
            self.words.append(data)


class Shown:
    """A page as it was answered."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.status = response.status_code
        self.path = response.url.path
        self.html = response.text
        reader = _Reader()
        reader.feed(self.html)
        self.links, self.forms = reader.links, reader.forms
        self.headings = [" ".join(heading.split()) for heading in reader.headings]
        self.text = " ".join(" ".join(reader.words).split())

    def form(self, action: str) -> PageForm:
        """The form whose address matches the pattern; fails naming the ones there are."""
        for form in self.forms:
            if re.search(action, form.action or self.path):
                return form
        raise AssertionError(
            f"{self.path} has no form {action!r}; it has {[form.action for form in self.forms]}"
        )


class Browser:
    """One person's browser at one installation."""

    def __init__(self, tocsin: Tocsin) -> None:
        self.client = tocsin.client(follow_redirects=True)
        self.base = tocsin.url

    def sign_in(self, email: str, password: str) -> Shown:
        """Through the sign-in page, as everybody."""
        return self.submit(self.open("/login"), "login", email=email, password=password)

    def open(self, path: str, status: int = 200) -> Shown:
        """GET a page."""
        shown = Shown(self.client.get(urljoin(self.base, path)))
        assert shown.status == status, f"GET {path} → {shown.status}: {shown.text[:300]}"
        return shown

    def submit(self, page: Shown, form: str, status: int = 200, **values: Any) -> Shown:
        """Send a form of the page with some of its fields changed; follows the redirect to what comes next."""
        found = page.form(form)
        data: dict[str, Any] = {
            **found.fields,
            **{name.replace("__", "."): value for name, value in values.items()},
        }
        address = urljoin(str(page.response.url), found.action or page.path)
        sent = (
            self.client.post(address, data=data)
            if found.method == "post"
            else self.client.get(address, params=data)
        )  # fmt: skip
        shown = Shown(sent)
        assert shown.status == status, f"{found.method} {address} → {shown.status}: {shown.text[:400]}"
        return shown

    def own_links(self, page: Shown) -> list[str]:
        """The page's links within the installation, without their fragments."""
        found = {urlsplit(urljoin(str(page.response.url), link)) for link in page.links}
        ours = urlsplit(self.base).netloc
        return sorted({f"{u.path}{'?' + u.query if u.query else ''}" for u in found if u.netloc == ours})
