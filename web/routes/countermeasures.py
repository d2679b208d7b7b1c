"""What is in force now, taking it back, and one action call with its request and answer."""

from fastapi import APIRouter

router = APIRouter()
