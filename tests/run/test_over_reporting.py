"""A host that marks too much is worse than it need be, and loses nothing: guidance is not held, what must hold is."""

from pathlib import Path

import pytest

from tests.run.command import xencbt
from xencbt.fixtures.emulator.defects import DEFECTS
from xencbt.harness.catalogue import CATALOGUE, Level

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize(
    ("defect", "guidance", "must"),
    [
        ("writes-mark-a-mebibyte", "ENABLE-19", ("ENABLE-04", "SET-02")),
        ("roll-keeps-bits", "LIST-03", ("LIST-01", "SET-02")),
    ],
)
def test_marking_too_much_fails_guidance_only(
    tmp_path: Path, defect: str, guidance: str, must: tuple[str, ...]
) -> None:
    named = [word for each in (guidance, *must) for word in ("--requirement", each)]
    ran = xencbt(tmp_path, "run", "--defect", defect, "--seed", "1", *named)
    assert ran.verdicts == {guidance: "fail"} | dict.fromkeys(must, "pass"), ran.stdout
    assert ran.exit == 0


def test_what_only_breaks_guidance_is_declared_as_what_a_good_host_may_show() -> None:
    levels = {row.id: row.level for row in CATALOGUE}
    declared = {each.name: each.level for each in DEFECTS.values() if levels[each.breaks[0]] is Level.SHOULD}
    assert declared
    assert set(declared.values()) == {"should"}
