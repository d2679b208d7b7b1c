"""Markdown of people and catalogue files as HTML that is safe to place in a page."""

from markupsafe import Markup

from incidents import markdown


def to_page(text: str) -> Markup:
    """Safe HTML: the renderer allows a short list of tags and no links."""
    return Markup(markdown.to_html(text))  # noqa: S704  # cleaned by incidents.markdown
