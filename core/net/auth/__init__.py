"""How we prove who we are to a product: one class per kind, found by name."""

from core.net.auth import signing, simple, tokens
from core.net.auth.contract import Auth, Field, build, fields_of, kinds

__all__ = ["Auth", "Field", "build", "fields_of", "kinds", "signing", "simple", "tokens"]
