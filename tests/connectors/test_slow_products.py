"""A product that hangs holds up its own calls, and no others."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from free_ports import wait_until
from hanging_server import Hanging
from vendor_server import Vendor

from connectors import calling, calls, instances
from connectors.calls import CallContext
from core import queue
from core.actors import SYSTEM, Actor, ActorKind
from core.db import reading, unit_of_work
from core.types import Ref

CTX = CallContext(Actor(ActorKind.playbook, "run-1", "Contain"), Ref("incident", str(uuid4())), run="run-1")


@pytest.fixture
def hanging(database: object) -> Iterator[Hanging]:
    server = Hanging()
    dispatcher = queue.Dispatcher()
    queue.wake_through(dispatcher.wake)
    dispatcher.start()
    yield server
    queue.wake_through()
    server.stop()
    dispatcher.stop()


def test_a_hanging_product_does_not_hold_up_the_others(hanging: Hanging, vendor: Vendor) -> None:
    with unit_of_work() as uow:
        for name, url in (("slow", f"http://127.0.0.1:{hanging.port}"), ("quick", vendor.url)):
            instances.create(
                uow, SYSTEM, name=name, connector="http", settings={"base_url": url}, private=True
            )
    with unit_of_work() as uow:
        for n in range(30):
            inputs = {"path": f"/{n}"}
            calls.request(uow, CTX, "http.get", inputs, instance="slow", key=f"slow-{n}")
    most = calling.KIND.lane_rows or 0
    wait_until(lambda: hanging.taken >= most, what="the product to hang")
    began = time.monotonic()
    with unit_of_work() as uow:
        inputs = {"path": "/now"}
        call = calls.request(uow, CTX, "http.get", inputs, instance="quick", key="quick")

    def state() -> str:
        with reading() as session:
            return calls.get(session, call.id).state

    wait_until(lambda: state() == "succeeded", what="the other product's call")
    assert time.monotonic() - began < 20, "it waited for the hanging product's time-out"
    assert hanging.taken == most, "one product has so many calls at a time, and no more"
