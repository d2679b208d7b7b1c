"""Guard rails: the hold, protected entities, budgets and block-list feeds."""

from fastapi import APIRouter

router = APIRouter()
