"""What the last step of a witness has to give, as data: made from a right answer and a wrong one, and decided by it."""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

from xencbt.harness.bitmap import describe
from xencbt.harness.verdicts import Accepted
from xencbt.harness.witness.naming import Normal, marks_of, ranges_of
from xencbt.harness.witness.steps import BadWitness, Step, read_saw
from xencbt.harness.witness.vocabulary import class_of

MOST_ALTERNATIVES = 20
LONGEST_COMPARED = 60
"""Parameters of an error that are longer, or hold a space, are texts for people: every host has its own."""

Saw = Mapping[str, Normal]
Alternative = Mapping[str, Any]
"""One allowed answer: `{"succeeds": true}`, `{"failed": CODE}` (with `params`: these; with `mentions`: one of these
texts stands in a parameter, whatever the case), `{"gives": VALUE}`,
`{"has": {FIELD: VALUE}}`, `{"marks": RUNS, "bytes": N}` (at least these blocks), `{"marks_at_most": RUNS, "bytes": N}`,
`{"listed": true}`: a bitmap of any content."""

Asked = tuple[str, Normal, Normal | EllipsisType]
"""The name of a field for people, what it has to be, and what it is; `...` where it is not there."""

_KEYS = (
    {"succeeds"},
    {"failed"},
    {"failed", "params"},
    {"failed", "mentions"},
    {"gives"},
    {"has"},
    {"marks", "bytes"},
    {"marks_at_most", "bytes"},
    {"listed"},
)


class Answer(enum.Enum):
    """What an answer is, held against a check."""

    RIGHT = "right"
    SAME = "wrong in the same way"
    OTHER = "wrong in another way"


@dataclass(frozen=True, slots=True)
class Check:
    """What the last step must give, by alternatives of which the first is what a right host gives, and what it gave."""

    expected: tuple[Alternative, ...]
    saw: Saw

    def decide(self, saw: Saw) -> Answer:
        """Say what `saw` is."""
        if any(allows(each, saw) for each in self.expected):
            return Answer.RIGHT
        same = self.way(saw) == self.way(self.saw) and self._astray(saw) <= self._astray(self.saw)
        return Answer.SAME if same else Answer.OTHER

    def way(self, saw: Saw) -> tuple[object, ...]:
        """Return in which way `saw` is wrong: two answers wrong in one way are one failure."""
        return way_of(self.expected[0], saw)

    def _astray(self, saw: Saw) -> frozenset[int]:
        """Return the blocks that a bitmap lacks, or marks beyond what it may: more of them are another failure."""
        expected, marked = self.expected[0], marks_of(saw.get("ok")) or frozenset()
        if "marks" in expected:
            return _blocks(expected["marks"]) - marked
        return marked - _blocks(expected["marks_at_most"]) if "marks_at_most" in expected else frozenset()

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON data, which `read_check` reads back."""
        return {"expected": [dict(each) for each in self.expected], "saw": dict(self.saw)}

    def words(self) -> tuple[str, ...]:
        """Say the alternatives to people."""
        return tuple(map(alternative_in_words, self.expected))


def read_check(data: object) -> Check:
    """Read a check from plain data that nobody vouches for; raises BadWitness."""
    if not isinstance(data, Mapping) or set(data) != {"expected", "saw"}:
        raise BadWitness("check: has expected and saw")
    expected = data["expected"]
    if not isinstance(expected, Sequence) or isinstance(expected, str) or not 1 <= len(expected) <= MOST_ALTERNATIVES:
        raise BadWitness(f"check: expected are 1 to {MOST_ALTERNATIVES} alternatives")
    saw = read_saw(data["saw"])
    if saw is None:
        raise BadWitness("check: saw is missing")
    check = Check(tuple(map(_read_alternative, expected)), saw)
    if check.decide(saw) is Answer.RIGHT:
        raise BadWitness("check: what was seen is among what is expected, so it shows no failure")
    return check


def _read_alternative(data: object) -> Alternative:
    if not isinstance(data, Mapping) or set(data) not in _KEYS:
        raise BadWitness("check: an alternative is succeeds, failed, gives, has, marks, marks_at_most or listed")
    read_saw({"ok": dict(data)})  # bounds and plainness
    for key in ("marks", "marks_at_most"):
        if key in data and marks_of({"marks": data[key]}) is None:
            raise BadWitness(f"check: {key} are runs of blocks")
    if "has" in data and not isinstance(data["has"], Mapping):
        raise BadWitness("check: has is a table of fields")
    if not isinstance(data.get("failed", ""), str):
        raise BadWitness("check: failed is a code")
    mentions = data.get("mentions", [""])
    if not isinstance(mentions, list) or not mentions or not all(isinstance(text, str) for text in mentions):
        raise BadWitness("check: mentions are texts")
    return dict(data)


def allows(alternative: Alternative, saw: Saw) -> bool:
    """Tell whether an answer is that alternative."""
    if "failed" in alternative:
        fits = saw.get("failed") == alternative["failed"]
        if "mentions" in alternative:
            return fits and _mentions(saw, alternative["mentions"])
        return fits and ("params" not in alternative or _params(saw) == _compared(alternative["params"]))
    if "ok" not in saw:
        return False
    value = saw["ok"]
    if "succeeds" in alternative:
        return True
    if "gives" in alternative:
        return bool(value == alternative["gives"])
    if "has" in alternative:
        return isinstance(value, Mapping) and not _missing(alternative["has"], value)
    return _allows_bitmap(alternative, value)


def _allows_bitmap(alternative: Alternative, value: Normal) -> bool:
    marked = marks_of(value)
    if marked is None or not isinstance(value, Mapping):
        return False
    if "listed" in alternative:
        return True
    if value.get("bytes") != alternative["bytes"]:
        return False
    if "marks" in alternative:
        return marked >= _blocks(alternative["marks"])
    return marked <= _blocks(alternative["marks_at_most"])


def alternative_of(accepted: Accepted) -> Alternative:
    """Return an answer that was allowed of a call as an alternative."""
    if accepted.code is None:
        return {"succeeds": True}
    return {"failed": accepted.code, **({"mentions": list(accepted.words)} if accepted.words else {})}


def difference(right: Saw, wrong: Saw, alternatives: Sequence[Alternative] = ()) -> Alternative | None:
    """Return what a right answer has and a wrong one lacks, as the alternative to expect; None where they are alike.

    Texts of errors are every host's own, but for what one of the `alternatives` says an error has to mention.
    """
    if "ok" not in right or "ok" not in wrong:
        return _mentioned(right, wrong, alternatives) or _refusal(right, wrong)
    value, other = right["ok"], wrong["ok"]
    expected, marked = marks_of(value), marks_of(other)
    if expected is not None and isinstance(value, Mapping):
        return _bitmap(value, expected, other, marked)
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        moved = _moved(value, other)
        return {"has": moved} if moved else None
    return None if value == other else {"gives": value}


def _mentioned(right: Saw, wrong: Saw, alternatives: Sequence[Alternative]) -> Alternative | None:
    told = (each for each in alternatives if "mentions" in each and allows(each, right))
    return next((each for each in told if not allows(each, wrong)), None)


def _refusal(right: Saw, wrong: Saw) -> Alternative | None:
    if "lost" in right:
        return None if "lost" in wrong else {"succeeds": True}
    if "ok" in right:
        return {"succeeds": True}
    if right.get("failed") != wrong.get("failed"):
        return {"failed": right["failed"]}
    return None if _params(right) == _params(wrong) else {"failed": right["failed"], "params": _params(right)}


def _bitmap(
    value: Mapping[str, Normal], expected: frozenset[int], other: Normal, marked: frozenset[int] | None
) -> Alternative | None:
    size = value.get("bytes")
    runs = [list(one) for one in ranges_of(expected)]
    same_size = isinstance(other, Mapping) and other.get("bytes") == size
    if marked is None or not expected <= marked or not same_size:
        return {"marks": runs, "bytes": size}
    return {"marks_at_most": runs, "bytes": size} if marked - expected else None


def way_of(expected: Alternative, saw: Saw) -> tuple[object, ...]:
    """Return in which way an answer misses the alternative `expected`."""
    kind = min(expected)
    if "lost" in saw:
        return kind, "lost"
    if "failed" in saw:
        params = tuple(map(str, _params(saw))) if "params" in expected else ()
        return (kind, "failed", saw["failed"], params)
    value = saw["ok"]
    if "has" in expected and isinstance(value, Mapping):
        return (kind, _missing(expected["has"], value))
    if kind in {"bytes", "listed"}:
        return _way_of_bitmap(expected, value)
    return kind, "ok"


def _way_of_bitmap(expected: Alternative, value: Normal) -> tuple[object, ...]:
    marked = marks_of(value)
    if marked is None or not isinstance(value, Mapping):
        return "bitmap", "none"
    if value.get("bytes") != expected.get("bytes"):
        return "bitmap", "length"
    return "bitmap", "missing" if "marks" in expected else "superfluous"


def check_of(right: Saw, wrong: Saw, alternatives: Sequence[Alternative] = ()) -> Check | None:
    """Return the check that tells the two apart; None where nothing does.

    `alternatives` are what the requirement allows besides what the right host gave.
    """
    told = difference(right, wrong, alternatives)
    if told is None:
        return None
    more = tuple(each for each in alternatives if each != told and not allows(each, wrong))
    only_outcomes = "succeeds" in told or "failed" in told
    return Check((told, *(more if only_outcomes else ())), wrong)


def last_difference(
    steps: Sequence[Step],
    right: Sequence[Saw | None],
    wrong: Sequence[Saw | None],
    alternatives: Sequence[Alternative] = (),
) -> int | None:
    """Return at which step two replays differ last; None where at none that looks at the host.

    What only faults saw counts where no client saw a difference: it is told afterwards, and may follow from another.
    """
    found = None
    for at in reversed(range(len(steps))):
        one, other = right[at], wrong[at]
        if one is not None and other is not None and difference(one, other, alternatives) is not None:
            if steps[at].do != "heal":
                return at
            found = at if found is None else found
    return found


def alternative_in_words(alternative: Alternative) -> str:
    """Say one alternative to people."""
    match dict(alternative):
        case {"succeeds": _}:
            return "success"
        case {"failed": code, "params": params}:
            return f"refused: {code}[{', '.join(map(str, params))}]"
        case {"failed": code, "mentions": texts}:
            return f"refused: {code}, mentioning {' or '.join(f'“{text}”' for text in texts)}"
        case {"failed": code}:
            return f"refused: {code}"
        case {"gives": value}:
            return _shown(value)
        case {"has": fields}:
            return "; ".join(f"{name} = {_shown(wanted)}" for name, wanted, _ in _asked(fields, fields))
        case {"marks": runs, "bytes": size}:
            return f"{size} bytes, at least {_described(runs)} marked"
        case {"marks_at_most": runs, "bytes": size}:
            return f"{size} bytes, at most {_described(runs)} marked"
        case _:
            return "a bitmap"


def saw_in_words(saw: Saw | None, expected: Alternative | None = None) -> str:
    """Say what came of a step; of a record only the fields that `expected` speaks of."""
    if saw is None:
        return "not reached"
    if "lost" in saw:
        return "no answer"
    if "failed" in saw:
        params = saw.get("params")
        return f"refused: {saw['failed']}[{', '.join(map(str, params)) if isinstance(params, list) else ''}]"
    value = saw["ok"]
    if marks_of(value) is not None and isinstance(value, Mapping):
        return f"{value.get('bytes')} bytes, {_described(value['marks'])} marked"
    if isinstance(value, Mapping) and expected is not None and "has" in expected:
        fields = _asked(expected["has"], value)
        return "; ".join(f"{name} = {'absent' if there is ... else _shown(there)}" for name, _, there in fields)
    plain = value is None or value == "" or isinstance(value, Mapping) or (isinstance(value, str) and class_of(value))
    return "success" if plain else _shown(value)


def _moved(value: Mapping[str, Normal], other: Mapping[str, Normal]) -> dict[str, Normal]:
    """Return what `other` lacks: fields of a record, or of the records of several objects."""
    moved: dict[str, Normal] = {}
    for key, one in value.items():
        there = other.get(key, ...)
        if class_of(key) and isinstance(one, Mapping) and isinstance(there, Mapping):
            fields = _moved(one, there)
            moved |= {key: fields} if fields else {}
        elif there != one:
            moved[key] = one
    return moved


def _missing(fields: Mapping[str, Normal], value: Mapping[str, Normal]) -> tuple[str, ...]:
    """Return the names of what is asked for and not there."""
    return tuple(sorted(name for name, wanted, there in _asked(fields, value) if wanted != there))


def _asked(fields: Mapping[str, Normal], value: Mapping[str, Normal]) -> Iterator[Asked]:
    for key, wanted in fields.items():
        there = value.get(key, ...)
        if class_of(key) and isinstance(wanted, Mapping):
            inner: Mapping[str, Normal] = there if isinstance(there, Mapping) else {}
            yield from ((f"{name} of {key}", one, other) for name, one, other in _asked(wanted, inner))
        else:
            yield key, wanted, there


def _described(runs: object) -> str:
    return describe(_blocks(runs))


def _blocks(runs: object) -> frozenset[int]:
    return marks_of({"marks": runs}) or frozenset()


def _shown(value: Normal) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _params(saw: Saw) -> list[Normal]:
    return _compared(saw.get("params"))


def _compared(params: object) -> list[Normal]:
    return [
        one if isinstance(one, str) and _is_compared(one) else "…"
        for one in (params if isinstance(params, list) else [])
    ]


def _mentions(saw: Saw, texts: Sequence[str]) -> bool:
    params = saw.get("params")
    told = [str(one).casefold() for one in params] if isinstance(params, list) else []
    return any(text.casefold() in one for text in texts for one in told)


def _is_compared(param: str) -> bool:
    return len(param) <= LONGEST_COMPARED and " " not in param
