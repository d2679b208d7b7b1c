"""One's own account: name, zone, password and how one is reached."""

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
