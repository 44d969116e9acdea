"""Carries out `duplicate`."""

from xencbt.harness.faults import Duplicate
from xencbt.harness.outcome import Outcome
from xencbt.proxies.carriers.registry import carries
from xencbt.proxies.delivery import Delivery


@carries(Duplicate)
async def deliver_twice(_fault: Duplicate, delivery: Delivery) -> Outcome:
    """Deliver the call again once the first answer is there; the client gets that first one when the second is done."""
    return await delivery.repeat()
