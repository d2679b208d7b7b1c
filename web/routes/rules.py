"""Grouping rules: in which order alerts become incidents, and why."""

from fastapi import APIRouter

router = APIRouter()
