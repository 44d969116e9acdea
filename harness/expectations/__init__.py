"""What a call may answer: alternatives as data, one engine that judges, and every documented refusal ready made.

>>> from xencbt.harness.expectations import judge, refusals
>>> judge(outcome, refusals.wrong_type("ephemeral", disk.ref), profile).allowed
"""

from xencbt.harness.expectations import refusals
from xencbt.harness.expectations.engine import (
    Alternative,
    Expectation,
    Judgement,
    Refused,
    Succeeds,
    either,
    expect,
    judge,
)
from xencbt.harness.expectations.parameters import (
    Any,
    Anything,
    Is,
    Matcher,
    Mentioning,
    NamesType,
    Parameters,
    Starting,
    mentioning,
    reference,
    starting,
)
from xencbt.harness.expectations.refusals import SUCCESS
from xencbt.harness.expectations.vdi_type import VdiType

__all__ = [
    "SUCCESS",
    "Alternative",
    "Any",
    "Anything",
    "Expectation",
    "Is",
    "Judgement",
    "Matcher",
    "Mentioning",
    "NamesType",
    "Parameters",
    "Refused",
    "Starting",
    "Succeeds",
    "VdiType",
    "either",
    "expect",
    "judge",
    "mentioning",
    "reference",
    "refusals",
    "starting",
]
