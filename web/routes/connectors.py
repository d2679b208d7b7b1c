"""Connectors: what each product can do, its instances, their health, and trying an action in dry run."""

from fastapi import APIRouter

router = APIRouter()
