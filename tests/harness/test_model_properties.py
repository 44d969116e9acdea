"""The model against plain set arithmetic: full copies of the content, and the list of all writes."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from xencbt.harness.bitmap import BLOCK, Bitmap
from xencbt.harness.expectations import SUCCESS
from xencbt.harness.model import Create as CreateStep
from xencbt.harness.model import (
    DataDestroy,
    Destroy,
    Disable,
    Enable,
    HostDisabled,
    ListChanged,
    Model,
    Resize,
    Snapshot,
    Step,
    Write,
)

BLOCKS = 24


@dataclass
class Plain:
    """One disk and its snapshots, kept as simply as can be: copies, a clock, and the span of every set."""

    content: list[int] = field(default_factory=lambda: [0] * BLOCKS)
    clock: int = 0
    tracked_by: int | None = None
    sets: int = 0
    writes: list[tuple[int, int]] = field(default_factory=list)
    snapshots: dict[str, tuple[int, int | None, list[int]]] = field(default_factory=dict)

    def moment(self, name: str) -> tuple[int, int | None, list[int]]:
        return (self.clock + 1, self.tracked_by, self.content) if name == "disk" else self.snapshots[name]

    def related(self, earlier: str, later: str) -> bool:
        first, last = self.moment(earlier), self.moment(later)
        return first[1] is not None and first[1] == last[1] and first[0] < last[0]

    def differing(self, earlier: str, later: str) -> set[int]:
        before, after = self.moment(earlier)[2], self.moment(later)[2]
        grown = before + [0] * (len(after) - len(before))
        return {block for block, value in enumerate(after) if value != grown[block]}

    def written(self, earlier: str, later: str) -> set[int]:
        start, end = self.moment(earlier)[0], self.moment(later)[0]
        return {block for when, block in self.writes if start < when < end}


ACTIONS = st.lists(
    st.one_of(
        st.sampled_from(["enable", "disable", "host disables", "snapshot", "snapshot", "grow"]),
        st.tuples(st.just("write"), st.integers(0, BLOCKS - 1)),
        st.tuples(st.just("write the same"), st.integers(0, BLOCKS - 1)),
        st.tuples(st.sampled_from(["destroy", "data_destroy"]), st.integers(0, 9)),
    ),
    max_size=30,
)


class Both:
    """Does the same to the model and to the plain copies."""

    def __init__(self) -> None:
        self.model = Model()
        self.plain = Plain()
        self.model.happened(CreateStep("disk", BLOCKS * BLOCK))

    def do(self, step: Step) -> None:
        assert self.model.allowed(step) == SUCCESS
        self.model.happened(step)

    def act(self, action: str | tuple[str, int]) -> None:
        plain = self.plain
        plain.clock += 1
        match action:
            case "enable":
                self.do(Enable("disk"))
                if plain.tracked_by is None:
                    plain.sets += 1
                    plain.tracked_by = plain.sets
            case "disable" | "host disables":
                self.do(Disable("disk") if action == "disable" else HostDisabled("disk"))
                plain.tracked_by = None
            case "snapshot":
                name = f"snapshot {plain.clock}"
                self.do(Snapshot("disk", name))
                plain.snapshots[name] = (plain.clock, plain.tracked_by, list(plain.content))
            case "grow":
                plain.content += [0] * 8
                self.do(Resize("disk", len(plain.content) * BLOCK))
            case ("destroy" | "data_destroy" as how, int(index)):
                self._delete(how, index)
            case (str(how), int(block)):
                self._write(how, block)

    def _delete(self, how: str, index: int) -> None:
        tracked = [name for name, moment in self.plain.snapshots.items() if moment[1] is not None]
        if not tracked:
            return
        name = tracked[index % len(tracked)]
        self.do(Destroy(name) if how == "destroy" else DataDestroy(name))
        if how == "destroy":
            del self.plain.snapshots[name]

    def _write(self, how: str, block: int) -> None:
        same = how == "write the same"
        self.do(Write("disk", block * BLOCK, BLOCK, content=-1) if same else Write("disk", block * BLOCK + 5, 1))
        self.plain.content[block] = -1 if same else self.plain.clock
        self.plain.writes.append((self.plain.clock, block))


@settings(max_examples=200)
@given(ACTIONS)
def test_status_sets_and_bounds_are_those_of_plain_copies(actions: list[str | tuple[str, int]]) -> None:
    both = Both()
    for action in actions:
        both.act(action)
        assert both.model.enabled("disk") is (both.plain.tracked_by is not None)
    model, plain = both.model, both.plain
    names = [*plain.snapshots, "disk"]
    assert model.expected_status() == {name: plain.moment(name)[1] is not None for name in names}
    for earlier in names:
        for later in names:
            related = plain.related(earlier, later)
            assert model.allowed(ListChanged(earlier, later)).succeeds is related
            if related:
                bounds = model.bounds(earlier, later)
                assert bounds.must == plain.differing(earlier, later)
                assert bounds.may == frozenset(plain.written(earlier, later) | plain.differing(earlier, later))
                assert bounds.length == -(-len(plain.moment(later)[2]) // 8)


@settings(max_examples=100)
@given(ACTIONS)
def test_bounds_compose(actions: list[str | tuple[str, int]]) -> None:
    both = Both()
    both.act("enable")
    for action in actions:
        both.act(action)
    names = [*both.plain.snapshots, "disk"]
    for a, b, c in ((a, b, c) for a in names for b in names for c in names):
        if both.plain.related(a, b) and both.plain.related(b, c):
            whole, first, second = (both.model.bounds(*pair) for pair in ((a, c), (a, b), (b, c)))
            assert whole.must <= first.must | second.must
            assert first.may is not None
            assert second.may is not None
            assert whole.may == first.may | second.may


@given(st.frozensets(st.integers(0, 31)), st.frozensets(st.integers(0, 31)))
def test_a_bitmap_is_judged_by_what_it_misses_and_by_what_it_adds(
    written: frozenset[int], marked: frozenset[int]
) -> None:
    model = Model()
    for step in (CreateStep("disk", 32 * BLOCK), Enable("disk"), Snapshot("disk", "baseline")):
        model.happened(step)
    for block in written:
        model.happened(Write("disk", block * BLOCK, BLOCK))
    bounds = model.bounds("baseline", "disk")
    bitmap = Bitmap.of(marked, 32 * BLOCK)
    assert bounds.missed(bitmap) == written - marked
    assert bounds.superfluous(bitmap) == marked - written
    assert bounds.allows(bitmap) is (written <= marked)
    assert bounds.allows(bitmap, precise=True) is (written == marked)
    assert not bounds.allows(Bitmap(bytes(5)))
