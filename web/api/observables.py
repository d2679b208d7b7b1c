"""Where a value was seen, over the API."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/v1")
