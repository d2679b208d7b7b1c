"""The figures of Now: how many alerts began in each hour, on both databases."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.db import reading, unit_of_work
from incident_bench import ANN, low, take
from incidents.models import Alert
from web.routes import now
from web.routes.now import rate


def test_alerts_are_counted_by_the_hour_they_began_in(database: object, clock: Any) -> None:
    ages = (0.5, 1.5, 1.6, 23.9, 24.1)
    for number, hours in enumerate(ages):
        (done,) = take(low(fingerprint=(("n", str(number)),)))
        _began(done.alert_id, clock.now - timedelta(hours=hours))
    with reading() as session:
        hours = rate(session, ANN, clock.now)
    assert len(hours) == 24
    assert (hours[23], hours[22], hours[0], sum(hours)) == (1, 2, 1, 4)


def test_a_full_hour_is_counted_no_further(
    database: object, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(now, "MOST_AN_HOUR", 3)
    take(*[low(fingerprint=(("n", str(number)),)) for number in range(5)])
    clock.advance(minutes=1)
    with reading() as session:
        hours = rate(session, ANN, clock.now)
    assert (hours[23], sum(hours)) == (3, 3)


def _began(alert: object, at: datetime) -> None:
    with unit_of_work() as uow:
        uow.query(Alert).filter(Alert.id == alert).update({"created_at": at})
