"""What a test asks is heard by example, and a lie about it is told in each."""

from tests.proof.lies import LIES
from tests.proof.sites import Site
from tests.proof.stage import Stage, Told, lies, without
from xencbt.harness.outcome import Ok, Outcome

DISKS = [f"OpaqueRef:0000000{number}" for number in range(3)]
OTHER = next(lie for lie in LIES if lie.name == "another value")
SITE = Site("suite", 1, 1, 0, "test")


def ask(stage: Stage, disk: str) -> Outcome:
    return stage.between("VDI.get_cbt_enabled", (disk,), lambda: Ok(True))


def two_examples(told: Told | None, *, judging: bool = True) -> tuple[Stage, list[Outcome]]:
    """Ask twice of a disk in each of two examples, the second time within an assertion."""
    stage, answers = Stage(active=True), []
    stage.begin(told)
    for disk in DISKS[:2]:
        stage.next_example()
        answers.append(ask(stage, disk))
        if judging:
            stage.site(SITE, begins=True)
            answers.append(ask(stage, disk))
            stage.site(SITE, begins=False)
        answers.append(ask(stage, disk))
    return stage, answers


def test_objects_and_questions_are_counted_anew_in_each_example() -> None:
    stage, _ = two_examples(None)
    assert {call.question for call in stage.heard} == {"VDI.get_cbt_enabled('#0',)"}
    assert [call.example for call in stage.heard] == [1, 1, 1, 2, 2, 2]
    assert stage.passed == [(SITE, 1, 2), (SITE, 4, 5)]


def test_a_lie_is_told_in_each_example() -> None:
    stage, _ = two_examples(None)
    found = [(at, told) for at, told in lies(stage.heard, [(4, 5)]) if told.lie is OTHER]
    at, told = next(each for each in found if not each[1].lasting)
    assert (at, told.since) == (4, 1)
    assert two_examples(told)[1] == [Ok(True), Ok(False), Ok(True)] * 2
    assert (
        two_examples(next(told for at, told in found if told.lasting and at == 4))[1]
        == [Ok(True), Ok(False), Ok(False)] * 2
    )


def test_without_the_assertion_the_same_question_is_asked_less_often() -> None:
    stage, _ = two_examples(None)
    told = Told(stage.heard[3].question, 1, OTHER, Ok(True), lasting=True)
    silent = without(SITE, stage.heard, 4, told)
    assert silent is not None
    assert two_examples(silent, judging=False)[1] == [Ok(True), Ok(False)] * 2
    assert without(SITE, stage.heard, 4, Told(told.question, 1, OTHER, Ok(True), lasting=False)) is None
