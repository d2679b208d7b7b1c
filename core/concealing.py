"""Hides known secrets in what a far end says: it may repeat what it was sent, in whatever spelling."""

from collections.abc import Iterable
from functools import lru_cache

from core.redaction import SHORTEST, spellings
from core.seeking import in_base64

MASK = "••••"


def conceal(text: str, secrets: Iterable[str]) -> str:
    """The text with MASK where one of these secrets stood; of three characters and less nothing is hidden."""
    for secret in secrets:
        if len(secret) > 3:
            for form in _forms(secret):
                text = text.replace(form, MASK)
    return text


@lru_cache(maxsize=512)  # each call of a product hides the same few
def _forms(secret: str) -> list[str]:
    """The longest first, since it may hold another."""
    forms = {secret, *spellings(secret)}
    if len(secret) >= SHORTEST:
        forms |= {form.decode() for form in in_base64(secret.encode())}
    return sorted(forms - {""}, key=len, reverse=True)
