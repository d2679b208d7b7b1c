"""The one search box: an exact key, an address, a hash, a host, a user, or words in titles."""

from fastapi import APIRouter

router = APIRouter()
