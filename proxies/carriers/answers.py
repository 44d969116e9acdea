"""Carries out what arrives of the host's answer."""

from xencbt.harness.faults import EmptyAnswer, HttpStatus, MalformedAnswer, SlowDrip, TruncatedAnswer, WrongLength
from xencbt.proxies.carriers.registry import carries
from xencbt.proxies.delivery import Delivery

NO_TEXT = b"\xff"
"""A byte that no UTF-8 text has."""


@carries(TruncatedAnswer)
async def truncate(fault: TruncatedAnswer, delivery: Delivery) -> None:
    """Promise the whole body and send a part."""
    body = delivery.body
    kept = int(len(body) * fault.keep)
    delivery.fired(delivery.answer, kept)
    delivery.rewrite(body[:kept], len(body))
    if fault.ending == "hanging":
        return
    delivery.close_afterwards(reset=fault.ending == "reset")


@carries(MalformedAnswer)
async def malform(fault: MalformedAnswer, delivery: Delivery) -> None:
    """Send as many bytes as the host did, which are no answer."""
    body = delivery.body
    middle = len(body) // 2
    if fault.damage == "broken-tag":
        damaged = body.replace(b"<", b"&").replace(b"{", b"[")
        byte = next((at for at, (old, new) in enumerate(zip(body, damaged, strict=True)) if old != new), 0)
    elif fault.damage == "no-text":
        damaged, byte = body[:middle] + NO_TEXT + body[middle + 1 :], middle
    else:
        damaged, byte = b"<html></html>".ljust(len(body)), 0
    delivery.fired(delivery.answer, byte)
    delivery.rewrite(damaged)


@carries(EmptyAnswer)
async def empty(_fault: EmptyAnswer, delivery: Delivery) -> None:
    """Send headers and nothing else."""
    delivery.fired(delivery.answer, 0)
    delivery.rewrite(b"")


@carries(WrongLength)
async def misstate_length(fault: WrongLength, delivery: Delivery) -> None:
    """Send the whole body under another length."""
    body = delivery.body
    length = max(0, len(body) + fault.by)
    delivery.fired(delivery.answer, min(length, len(body)))
    delivery.rewrite(body, length)
    delivery.close_afterwards()


@carries(HttpStatus)
async def answer_status(fault: HttpStatus, delivery: Delivery) -> None:
    """Send an HTTP error in place of the answer, or in place of the call."""
    delivery.fired(delivery.answer)
    delivery.reply(fault.status, b"", "text/html")


@carries(SlowDrip)
async def drip(fault: SlowDrip, delivery: Delivery) -> None:
    """Let the answer through, slowly."""
    delivery.fired(delivery.answer, 0)
    delivery.drip(fault.chunk, fault.pause_s)
