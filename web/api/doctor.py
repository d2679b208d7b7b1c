"""Over the API: whether this installation is looked after."""

from fastapi import APIRouter

from core.actors import Actor
from core.db import reading
from reports import doctor
from web.calling import may
from web.shapes import Shape

router = APIRouter(prefix="/api/v1/doctor", tags=["doctor"])


class LightOut(Shape):
    """One light: green, yellow or red; for the latter two what to do, on which page or by which setting or command."""

    name: str
    title: str
    state: str
    says: str
    todo: str
    href: str
    command: str


class DoctorOut(Shape):
    """The worst state and every light, in their usual order."""

    worst: str
    items: list[LightOut]


@router.get("")
def examine(actor: Actor = may("doctor.read")) -> DoctorOut:
    """Look at everything now."""
    del actor
    with reading() as session:
        shown = doctor.examine(session)
    return DoctorOut(worst=doctor.worst(shown), items=[LightOut(**one.told()) for one in shown])
