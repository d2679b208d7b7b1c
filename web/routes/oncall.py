"""On call: who answers now and next, the coming two weeks, taking over and handing over."""

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
