"""Every call with arguments of all kinds, right and wrong: it succeeds or is refused, and never breaks the host."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.laboratory import MIB, Laboratory, laboratory
from xencbt.fixtures.emulator.calls import NO_ANSWER, Calls
from xencbt.fixtures.emulator.dispatch import ASYNC
from xencbt.fixtures.emulator.jsonrpc import Reply, Version
from xencbt.fixtures.emulator.methods import METHODS
from xencbt.fixtures.emulator.schema import CLASSES, ENUMS
from xencbt.fixtures.emulator.values import EPOCH, NULL, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 900
AS_WELL = 0.9
SOON_S = 20.0
ODD: tuple[Any, ...] = (None, 5, -1, True, "x", [], {}, 1.5, 2**63 - 1, "", NULL, [None], {"": None}, "y" * 5000)
TEXTS = ("", "x", "a/b", "é\U0001f600", "\x00", "autodetect", "0", "lvm", "*", 'field "uuid" = "x"')
NOT_CALLED = frozenset({"session.logout", "session.local_logout", "session.change_password", "host.restart_agent"})
"""They would end what the other calls need."""

WAIT_FOR_NEWS = frozenset({"event.from", "event.next"})


class Draws:
    """Makes arguments: mostly of the right type, and of objects that there are."""

    def __init__(self, lab: Laboratory, seed: int) -> None:
        self.lab = lab
        self.random = random.Random(seed)
        self.makers: dict[Kind, Callable[[Type], Any]] = {
            Kind.STRING: lambda _: self.random.choice([*TEXTS, lab.host.lab.vdi, lab.session]),
            Kind.INT: lambda _: self.random.choice([0, 1, -1, 2**63 - 1, -(2**63), 65536, 4 * MIB, "7"]),
            Kind.FLOAT: lambda _: self.random.choice([0, -1.0, 1e308, 0.001]),
            Kind.BOOL: lambda _: self.random.random() < 0.5,
            Kind.DATETIME: lambda _: self.random.choice([str(EPOCH), "99991231T23:59:59Z", "00010101T00:00:00Z"]),
            Kind.ENUM: lambda kind: self.random.choice(ENUMS[kind.of].values),
            Kind.REF: lambda kind: self.random.choice([*self.refs(kind.of), NULL]),
            Kind.SET: lambda kind: [self.value(kind.item) for _ in range(self.random.randrange(3))],
            Kind.MAP: lambda kind: {str(self.value(kind.key)): self.value(kind.item) for _ in range(2)},
            Kind.RECORD: lambda kind: {
                field.name: self.value(field.type)
                for field in CLASSES[kind.of].creation_fields
                if self.random.random() < AS_WELL
            },
        }

    def refs(self, cls: str) -> list[str]:
        return list(self.lab.host.db.all(cls)) if cls in CLASSES and CLASSES[cls].stored else []

    def value(self, kind: Type | None) -> Any:
        if kind is None or self.random.random() > AS_WELL:
            return self.random.choice(ODD)
        return self.makers[kind.kind](kind)

    def call(self) -> tuple[str, list[Any]]:
        method = METHODS[self.random.choice(sorted(METHODS.keys() - NOT_CALLED - WAIT_FOR_NEWS))]
        background = not method.quick and self.random.random() > AS_WELL
        session = [] if method.role is None else [self.lab.session]
        name = f"{ASYNC if background else ''}{method.name}"
        return name, session + [self.value(param.type) for param in method.params]


@pytest.mark.parametrize("seed", [1, 2])
def test_no_call_breaks_whatever_its_arguments(seed: int) -> None:
    broken: list[Any] = []
    said: Counter[str] = Counter()

    async def run(lab: Laboratory) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
        calls, draws = Calls(lab.host), Draws(lab, seed)
        for _ in range(CALLS):
            name, params = draws.call()
            answer = calls.begin(name, params, Reply(Version.V2, 1))
            if not isinstance(answer, bytes):
                async with asyncio.timeout(SOON_S):
                    answer = await answer.task
            assert answer != NO_ANSWER, name
            read = json.loads(answer)
            said["worked" if "result" in read else read["error"]["message"]] += 1

    with laboratory() as lab:
        lab.runner.run(run(lab))
    assert broken == []
    assert said["worked"] > CALLS / 10
    assert {"FIELD_TYPE_ERROR", "HANDLE_INVALID", "VALUE_NOT_SUPPORTED"} <= said.keys()
