"""The inbox: what Tocsin told one person inside its own pages."""

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
