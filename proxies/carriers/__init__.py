"""How each kind of fault is carried out: one small function per kind, registered by the kind's class."""

from xencbt.proxies.carriers import answer_lost, duplicate, request_dropped
from xencbt.proxies.carriers.registry import CARRIERS, carry

__all__ = ["CARRIERS", "answer_lost", "carry", "duplicate", "request_dropped"]
