"""Carries out whether, when and how often a call gets through."""

from xencbt.harness.faults import (
    AnswerLost,
    Blackhole,
    ConnectionReset,
    ConnectionsRefused,
    Delay,
    Duplicate,
    LateDuplicate,
    Reordered,
    RequestDropped,
    WrongCertificate,
)
from xencbt.proxies.carriers.registry import carries
from xencbt.proxies.delivery import Delivery


@carries(AnswerLost)
async def lose_answer(_fault: AnswerLost, delivery: Delivery) -> None:
    """Close the connection in place of the answer, which the receipt keeps."""
    delivery.fired(delivery.answer)
    delivery.cut()


@carries(RequestDropped)
async def drop_request(_fault: RequestDropped, delivery: Delivery) -> None:
    """Close the connection before anything of the call is passed on."""
    delivery.fired()
    delivery.cut()


@carries(Duplicate)
async def deliver_twice(_fault: Duplicate, delivery: Delivery) -> None:
    """Deliver the call again once the first answer is there; the client gets that first one when the second is done."""
    delivery.fired(await delivery.repeat())


@carries(LateDuplicate)
async def deliver_late(fault: LateDuplicate, delivery: Delivery) -> None:
    """Keep the bytes, and deliver them again later; that delivery is what fires."""
    delivery.repeat_after(fault.calls)


@carries(Reordered)
async def let_overtake(_fault: Reordered, delivery: Delivery) -> None:
    """Hold the call back until another one was answered."""
    if await delivery.overtaken():
        delivery.fired()
    else:
        delivery.failed("no later call overtook it")


@carries(Delay)
async def delay(fault: Delay, delivery: Delivery) -> None:
    """Pass on late."""
    delivery.fired(delivery.answer)
    await delivery.hold(fault.seconds)


@carries(Blackhole)
async def swallow(_fault: Blackhole, delivery: Delivery) -> None:
    """Pass nothing on while the fault lasts."""
    delivery.fired(delivery.answer)
    await delivery.hold()
    delivery.cut()


@carries(ConnectionReset)
async def reset_connection(_fault: ConnectionReset, delivery: Delivery) -> None:
    """Reset the client's connection."""
    delivery.fired(delivery.answer)
    delivery.reset()


@carries(ConnectionsRefused)
async def refuse_connections(fault: ConnectionsRefused, delivery: Delivery) -> None:
    """Close what is open and refuse what comes."""
    delivery.fired(delivery.answer)
    await delivery.refuse_connections(fault.seconds or None)


@carries(WrongCertificate)
async def show_certificate(fault: WrongCertificate, delivery: Delivery) -> None:
    """Close what is open and show whoever comes another certificate."""
    delivery.fired()
    await delivery.show_certificate(fault.certificate)
