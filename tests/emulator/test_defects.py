"""Each defect shows what it says, where it is switched on and nowhere else; and the registry of them is in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.emulator.laboratory import laboratory
from tests.emulator.shown import SHOWN
from xencbt.fixtures.emulator.cli_commands import COMMANDS
from xencbt.fixtures.emulator.defects import DEFECTS, LAYERS, UnknownDefectError, switch
from xencbt.fixtures.emulator.defects.declaring import WRONG
from xencbt.fixtures.emulator.defects.listing import table
from xencbt.fixtures.emulator.errors import VerbRefusedError
from xencbt.fixtures.emulator.transfers import HANDLERS
from xencbt.harness.catalogue import catalogue
from xencbt.harness.catalogue.requirement import Level

if TYPE_CHECKING:
    from tests.emulator.shown.showing import Shown

SHOWING = [pytest.param(name, shown, id=name) for name, shown in SHOWN.items()]


def test_every_defect_is_shown() -> None:
    assert set(SHOWN) == set(DEFECTS)


@pytest.mark.parametrize(("name", "shown"), SHOWING)
def test_a_defect_shows(name: str, shown: Shown) -> None:
    with laboratory(**shown.options, defects=(name,)) as lab:
        assert shown.scene(lab) == shown.wrong


@pytest.mark.parametrize(("name", "shown"), SHOWING)
def test_a_good_host_lacks_it(name: str, shown: Shown) -> None:
    assert shown.right != shown.wrong, name
    with laboratory(**shown.options) as lab:
        assert shown.scene(lab) == shown.right


def test_defects_belong_to_one_host_and_can_be_switched_while_it_runs() -> None:
    twice = SHOWN["roll-drops-bits"]
    with laboratory(defects=("roll-drops-bits",)) as wrong, laboratory() as right:
        assert (twice.scene(wrong), twice.scene(right)) == (twice.wrong, twice.right)
        assert wrong.verb("defects") == {"names": ["roll-drops-bits"]}
        assert wrong.verb("defects", names=[]) == {"names": []}
        assert right.verb("defects", names=["roll-keeps-bits"]) == {"names": ["roll-keeps-bits"]}
        assert (twice.scene(wrong), twice.scene(right)) == (twice.right, SHOWN["roll-keeps-bits"].wrong)


def test_several_defects_show_at_once_also_at_the_same_place() -> None:
    both = SHOWN["growth-clears-the-log"]
    names = ("grown-parts-are-not-tracked", "growth-clears-the-log", "roll-keeps-bits", "enable-takes-snapshots")
    with laboratory(defects=names) as lab:
        assert lab.verb("lab")["defects"] == list(names)
        assert both.scene(lab) == set()
        assert SHOWN["enable-takes-snapshots"].scene(lab) == "ok"


def test_defects_outlive_a_restart_and_a_crash() -> None:
    with laboratory(defects=("roll-drops-bits",)) as lab:
        lab.start()
        lab.crash()
        assert SHOWN["roll-drops-bits"].scene(lab) == SHOWN["roll-drops-bits"].wrong


def test_a_name_that_is_none_is_refused_and_changes_nothing() -> None:
    with laboratory(defects=("roll-drops-bits",)) as lab:
        with pytest.raises(VerbRefusedError, match="did you mean roll-keeps-bits"):
            lab.verb("defects", names=["roll-keep-bits"])
        with pytest.raises(VerbRefusedError, match="a list of strings"):
            lab.verb("defects", names=[1])
        with pytest.raises(UnknownDefectError, match="--defects lists them"):
            switch(lab.host, ["xyz"])
        assert lab.host.defects.names == ("roll-drops-bits",)


def test_the_handbook_lists_every_defect() -> None:
    page = (Path(__file__).parents[2] / "docs" / "defects.md").read_text(encoding="utf-8")
    assert table() in page, "docs/defects.md: put there what xencbt.fixtures.emulator.defects.listing.table() gives"


def test_the_registry_is_in_order() -> None:
    known = {requirement.id: requirement for requirement in catalogue()}
    for name, defect in DEFECTS.items():
        assert name == defect.name
        assert set(defect.breaks) <= set(known), name
        assert defect.what.endswith("."), name
        if known[defect.breaks[0]].level != "M":
            assert defect.level == "should", name


def test_defects_are_spread_over_everything() -> None:
    """Every chapter, every binding row, every loudness and every field defect; `layer` is where it is declared."""
    rows = {requirement.id: requirement for requirement in catalogue()}
    declared = [defect.breaks[0] for defect in DEFECTS.values()]
    assert len(DEFECTS) >= 80
    assert {rows[first].chapter for first in declared} == set(catalogue().chapters)
    assert {row.id for row in rows.values() if row.level is Level.MUST} <= set(declared)
    assert {defect.loudness for defect in DEFECTS.values()} == {"loud", "silent", "cost"}
    assert {defect.seen for defect in DEFECTS.values()} - {""} == {f"F{number}" for number in range(1, 13)}
    assert {defect.layer for defect in DEFECTS.values()} == {layer.__name__.rpartition(".")[2] for layer in LAYERS}


def test_what_stands_for_a_call_names_a_call_there_is() -> None:
    with laboratory() as lab:
        calls = {*lab.host.method_names, *HANDLERS, *(f"xe {command}" for command in COMMANDS)}
    assert {at for versions in WRONG.values() for at in versions if isinstance(at, str)} <= calls
