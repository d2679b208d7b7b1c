"""The addresses of a list's pages: its filters stay in them, and a cursor says where a page begins."""

from urllib.parse import urlencode

from starlette.datastructures import QueryParams

SIZE = 50


def address(path: str, given: QueryParams, **changes: str | None) -> str:
    """The same list with some filters changed (None removes one), at its first page unless `after` is given."""
    kept = [
        (name, value)
        for name, value in given.multi_items()
        if name != "after" and name not in changes and value
    ]
    kept += [(name, value) for name, value in changes.items() if value]
    return f"{path}?{urlencode(kept)}" if kept else path
