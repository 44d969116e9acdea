"""What is recorded of the proof still tells of the defects that there are, and the handbook shows it."""

from tests.proof.page import PAGE, with_part
from xencbt.fixtures.emulator.defects import DEFECTS
from xencbt.suites import kill_score


def test_the_page_shows_what_is_recorded() -> None:
    kept = kill_score.recorded()
    assert kept is not None
    page = PAGE.read_text(encoding="utf-8")
    assert with_part(page, kept) == page, "python -m tests.proof.page writes it"


def test_the_record_knows_every_defect() -> None:
    kept = kill_score.recorded()
    assert kept is not None
    known = {each["name"]: (each["level"], each["breaks"][0]) for each in kept["defects"]}
    assert known == {name: (each.level, each.breaks[0]) for name, each in DEFECTS.items()}, "xencbt prove --record"


def test_the_readme_tells_the_score() -> None:
    score = kill_score.kill_score()
    assert score is not None
    readme = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"{score['killed']} of {score['of']} planted defects" in readme
