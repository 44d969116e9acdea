"""Which carrier carries out which kind of fault."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from xencbt.harness.faults import Fault, kind_of
from xencbt.proxies.delivery import Delivery
from xencbt.proxies.errors import InterceptorError

F = TypeVar("F", bound=Fault)
Carrier = Callable[[F, Delivery], Awaitable[None]]

_registered: dict[type[Fault], Carrier[Any]] = {}
CARRIERS: Mapping[type[Fault], Carrier[Any]] = MappingProxyType(_registered)
"""The carrier of each kind that the interceptor can carry out, by the kind's class."""


def carries(kind: type[F]) -> Callable[[Carrier[F]], Carrier[F]]:
    """Register a carrier of `kind`: it disturbs the delivery, and says when it did.

    It is awaited in the phase of the plan: before the host sees the call, or once the host answered.
    """

    def register(carrier: Carrier[F]) -> Carrier[F]:
        if kind in _registered:
            raise ValueError(f"two carriers of {kind.name}")
        _registered[kind] = carrier
        return carrier

    return register


async def carry(fault: Fault, delivery: Delivery) -> None:
    """Carry out `fault` on `delivery`; raises what the carrier raises."""
    await CARRIERS[type(fault)](fault, delivery)


def require_carriers(faults: tuple[Fault, ...]) -> None:
    """Raise InterceptorError for a fault that something other than the interceptor has to carry out."""
    for fault in faults:
        if type(fault) not in CARRIERS:
            raise InterceptorError(f"the interceptor cannot carry out {kind_of(fault).name}")
