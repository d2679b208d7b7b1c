"""Durable work: what is due, what runs, and what is stuck."""

from fastapi import APIRouter

router = APIRouter()
