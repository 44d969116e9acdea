"""The registry of fault kinds, from which documentation, loading and contract tests come."""

from dataclasses import FrozenInstanceError, dataclass
from typing import Any, Literal

import pytest

from xencbt.harness.faults import KINDS, AnswerLost, Fault, FaultError, Layer, Phase, kind_of
from xencbt.harness.faults import kinds as registry
from xencbt.harness.faults.kinds import build, fault, parameters_of


@dataclass(frozen=True, slots=True)
class Slow(Fault):
    """Takes its time."""

    seconds: float
    chunk: int = 16
    where: str = "body"
    hard: bool = False
    how: Literal["gently", "roughly"] = "gently"
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise FaultError("seconds", "must be positive")


def dataclass_parameters(kind: type[Fault]) -> Any:
    return vars(kind)["__dataclass_params__"]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> type[Slow]:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    return fault("slow", Phase.DURING, Phase.AFTER)(Slow)


def test_the_vocabulary() -> None:
    words = {layer: {name for name, kind in KINDS.items() if kind.layer is layer} for layer in Layer}
    assert words[Layer.TRANSPORT] == {
        *("answer-lost", "request-dropped", "duplicate", "late-duplicate", "reordered", "delay", "blackhole"),
        *("connection-reset", "connections-refused", "wrong-certificate"),
        *("truncated-answer", "malformed-answer", "empty-answer", "wrong-length", "http-status", "slow-drip"),
    }
    assert words[Layer.STORAGE] == {
        *("no-space-for-log", "pause-refused", "sr-read-only", "pbd-unplugged", "power-cut"),
        *("log-damaged", "nbd-disturbed"),
    }
    assert words[Layer.LAB] == {"lab-command"}
    assert words[Layer.API] == {"api-error", "session-invalid", "host-is-slave", "task-failed", "task-never-ends"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_is_a_frozen_dataclass_that_documents_itself(kind: registry.Kind) -> None:
    assert dataclass_parameters(kind.fault).frozen
    assert kind.summary.endswith(".")
    assert [parameter.name for parameter in kind.parameters] == list(vars(kind.fault)["__dataclass_fields__"])
    assert kind.as_json().keys() == {"name", "layer", "phases", "summary", "parameters"}
    assert kind.name == kind.fault.name


def test_a_fault_is_a_value(slow: type[Slow]) -> None:
    assert slow(1.0) == slow(1.0) != slow(2.0)
    with pytest.raises(FrozenInstanceError):
        slow(1.0).seconds = 3  # type: ignore[misc]  # the point


def test_parameters_are_documented(slow: type[Slow]) -> None:
    described = kind_of(slow(1.0)).as_json()
    assert described["parameters"] == [
        {"name": "seconds", "type": "float", "required": True, "default": None},
        {"name": "chunk", "type": "int", "required": False, "default": 16},
        {"name": "where", "type": "str", "required": False, "default": "body"},
        {"name": "hard", "type": "bool", "required": False, "default": False},
        {"name": "how", "type": "gently|roughly", "required": False, "default": "gently"},
        {"name": "words", "type": "list of str", "required": False, "default": []},
    ]
    assert (described["phases"], described["summary"]) == (["during", "after"], "Takes its time.")


def test_building_from_plain_data(slow: type[Slow]) -> None:
    built = build(slow, {"seconds": 2, "hard": True, "words": ["a"]})  # TOML writes 2 where 2.0 is meant
    assert built == slow(2.0, hard=True, words=("a",))
    assert parameters_of(built) == {
        "seconds": 2.0,
        "chunk": 16,
        "where": "body",
        "hard": True,
        "how": "gently",
        "words": ["a"],
    }


@pytest.mark.parametrize(
    ("parameters", "field", "problem"),
    [
        ({}, "seconds", "is missing"),
        ({"seconds": "2"}, "seconds", "must be float, not str"),
        ({"seconds": True}, "seconds", "must be float, not bool"),
        ({"seconds": 1.0, "chunk": 1.5}, "chunk", "must be int, not float"),
        ({"seconds": 1.0, "hard": 1}, "hard", "must be bool, not int"),
        ({"seconds": 1.0, "how": "softly"}, "how", r"must be gently\|roughly, not str"),
        ({"seconds": 1.0, "words": "a"}, "words", "must be list of str, not str"),
        ({"seconds": 1.0, "words": ["a", 1]}, "words", "must be list of str, not list"),
        ({"seconds": 1.0, "speed": 9}, "speed", "unknown parameter; slow takes seconds, chunk"),
        ({"seconds": -1.0}, "seconds", "must be positive"),
    ],
)
def test_wrong_parameters_are_named(slow: type[Slow], parameters: dict[str, object], field: str, problem: str) -> None:
    with pytest.raises(FaultError, match=problem) as caught:
        build(slow, parameters)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("name", "parameters", "field"),
    [
        ("delay", {"seconds": 0.0}, "seconds"),
        ("connections-refused", {"seconds": -1.0}, "seconds"),
        ("late-duplicate", {"calls": 0}, "calls"),
        ("truncated-answer", {"keep": 1.0}, "keep"),
        ("truncated-answer", {"ending": "sadly"}, "ending"),
        ("wrong-length", {"by": 0}, "by"),
        ("http-status", {"status": 200}, "status"),
        ("slow-drip", {"chunk": 0}, "chunk"),
        ("wrong-certificate", {"certificate": "good"}, "certificate"),
        ("api-error", {"code": "not a code"}, "code"),
        ("api-error", {"params": "one"}, "params"),
    ],
)
def test_a_kind_refuses_what_it_cannot_do(name: str, parameters: dict[str, object], field: str) -> None:
    with pytest.raises(FaultError) as caught:
        build(KINDS[name].fault, parameters)
    assert caught.value.field == field


def test_two_kinds_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match="two kinds of fault are called 'answer-lost'"):
        fault("answer-lost", Phase.AFTER)(AnswerLost)


def test_a_kind_says_what_it_does() -> None:
    @dataclass(frozen=True)
    class Mute(Fault):
        pass

    with pytest.raises(ValueError, match="Mute: a kind of fault needs a docstring"):
        fault("mute", Phase.AFTER)(Mute)


def test_an_unregistered_fault_is_no_kind() -> None:
    with pytest.raises(FaultError, match=r"known are .*answer-lost"):
        kind_of(Slow(1.0))
