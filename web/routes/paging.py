"""Pages: who was called and when, acknowledging and escalating, also by signed link."""

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
