"""Carries out `request-dropped`."""

from xencbt.harness.faults import RequestDropped
from xencbt.proxies.carriers.registry import carries
from xencbt.proxies.delivery import Delivery


@carries(RequestDropped)
async def drop_request(_fault: RequestDropped, delivery: Delivery) -> None:
    """Close the connection before anything of the call is passed on."""
    delivery.cut()
