"""Instances of connectors over the API; secrets go in and never come out."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/v1")
