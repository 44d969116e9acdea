"""How each kind of fault is carried out: one small function per kind, registered by the kind's class."""

from xencbt.proxies.carriers import answers, deliveries, refusals
from xencbt.proxies.carriers.registry import CARRIERS, carry

__all__ = ["CARRIERS", "answers", "carry", "deliveries", "refusals"]
