"""Carries out `answer-lost`."""

from xencbt.harness.faults import AnswerLost
from xencbt.harness.outcome import Outcome
from xencbt.proxies.carriers.registry import carries
from xencbt.proxies.delivery import Delivery


@carries(AnswerLost)
async def lose_answer(_fault: AnswerLost, delivery: Delivery) -> Outcome | None:
    """Close the connection in place of the answer, which the receipt keeps."""
    delivery.cut()
    return delivery.answer
