"""Ways in which a run could look green without having earned it, each taken as a user or a suite would."""

from pathlib import Path

from tests.run.command import xencbt
from tests.run.test_earned import pytest_run

HEAD = """
import os, pathlib, sys, threading
import pytest
from hypothesis import assume, given, strategies as st
from xencbt.harness.decides import decides
from xencbt.harness.verdicts import Blocked, Violation

@decides("ENABLE-01")
def test_passes(disk):
    assert not disk.cbt_enabled
"""


def suite(folder: Path, text: str, name: str = "test_own.py") -> str:
    (folder / name).write_text(HEAD + text)
    return name


def test_what_a_subtest_found_is_not_forgotten_when_the_body_returns(tmp_path: Path) -> None:
    name = suite(
        tmp_path,
        """
@decides("ENABLE-02")
def test_with_subtests(disk, subtests):
    with subtests.test("first"):
        assert disk.cbt_enabled
    with subtests.test("second"):
        assert not disk.cbt_enabled
""",
    )
    ran = xencbt(tmp_path, "run", "--", name)
    assert ran.verdicts == {"ENABLE-01": "pass", "ENABLE-02": "fail"}, ran.stdout + ran.stderr
    assert ran.exit == 1


def test_tests_of_one_name_in_two_classes_are_two_tests(tmp_path: Path) -> None:
    name = suite(
        tmp_path,
        """
class TestA:
    @decides("ENABLE-02")
    def test_same(self, disk):
        assert not disk.cbt_enabled

class TestB:
    @decides("ENABLE-03")
    def test_same(self, disk):
        assert disk.cbt_enabled
""",
    )
    ran = xencbt(tmp_path, "run", "--", name)
    assert ran.verdicts == {"ENABLE-01": "pass", "ENABLE-02": "pass", "ENABLE-03": "fail"}, ran.stdout + ran.stderr
    assert ran.tests["TestB::test_same"]["evidence"]["rerun"].endswith("-k test_same")


def test_a_failed_test_that_decides_nothing_is_a_problem_of_the_run(tmp_path: Path) -> None:
    name = suite(tmp_path, "\n@decides()\ndef test_that_forgot_its_requirement(disk):\n    assert disk.cbt_enabled\n")
    for words in ((), ("-n", "1")):
        ran = xencbt(tmp_path, "run", *words, "--out", f"out{len(words)}", "--", name)
        assert ran.exit == 4, ran.stdout + ran.stderr
        assert "test_that_forgot_its_requirement" in ran.stdout


def test_calls_of_fixtures_alone_earn_no_pass(tmp_path: Path) -> None:
    name = suite(tmp_path, '\n@decides("ENABLE-02")\ndef test_looks_at_nothing(disk):\n    pass\n')
    ran = xencbt(tmp_path, "run", "--", name)
    assert ran.verdicts["ENABLE-02"] == "not exercised", ran.stdout + ran.stderr
    assert ran.exit == 2


def test_what_a_thread_raised_is_no_pass(tmp_path: Path) -> None:
    name = suite(
        tmp_path,
        """
def look(disk):
    raise Violation("seen on a thread")

@decides("ENABLE-02")
def test_on_a_thread(disk):
    disk.cbt_enabled
    thread = threading.Thread(target=look, args=(disk,))
    thread.start()
    thread.join()
""",
    )
    ran = xencbt(tmp_path, "run", "--", name)
    assert ran.verdicts["ENABLE-02"] != "pass", ran.stdout + ran.stderr
    assert ran.exit == 4


def test_a_property_whose_examples_are_all_rejected_is_not_exercised(tmp_path: Path) -> None:
    name = suite(
        tmp_path,
        """
@decides("ENABLE-02")
@given(st.integers())
def test_rejects_all(lab, number):
    lab.session.value("pool.get_all")
    assume(False)

@decides("ENABLE-03")
@given(st.booleans())
def test_rejects_the_few_there_are(lab, number):
    lab.session.value("pool.get_all")
    assume(False)
""",
    )
    ran = xencbt(tmp_path, "run", "--", name)
    assert ran.verdicts == {"ENABLE-01": "pass", "ENABLE-02": "not exercised", "ENABLE-03": "not exercised"}, ran.stdout
    assert ran.exit == 2


def test_stopping_at_a_blocked_test_is_2(tmp_path: Path) -> None:
    name = suite(
        tmp_path,
        """
@decides("ENABLE-02")
def test_blocked(disk):
    raise Blocked("no space")

@decides("ENABLE-03")
def test_later(disk):
    assert not disk.cbt_enabled
""",
    )
    ran = xencbt(tmp_path, "run", "--", name, "-x")
    assert ran.verdicts == {"ENABLE-01": "pass", "ENABLE-02": "blocked", "ENABLE-03": "not run"}
    assert ran.exit == 2, ran.stdout + ran.stderr


def test_a_named_suite_of_which_nothing_ran_is_2(tmp_path: Path) -> None:
    ran = xencbt(tmp_path, "run", "--suite", "enable", "--suite", "disable", "--", "-k", "test_enabling_twice")
    assert ran.exit == 2, ran.stdout + ran.stderr
    assert set(ran.document["chapters"]) >= {"DISABLE", "ENABLE"}


def test_a_module_that_skips_itself_is_told(tmp_path: Path) -> None:
    name = suite(tmp_path, "")
    (tmp_path / "test_skips.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    ran = xencbt(tmp_path, "run", "--", name, "test_skips.py")
    assert ran.exit == 4, ran.stdout + ran.stderr
    assert "test_skips.py" in ran.document["problems"][0]["reason"]


def test_sys_exit_in_a_conftest_is_4(tmp_path: Path) -> None:
    suite(tmp_path, "")
    (tmp_path / "conftest.py").write_text("import sys\nsys.exit(0)\n")
    assert xencbt(tmp_path, "run", "--", ".").exit == 4


def test_a_folder_that_cannot_be_made_is_3(tmp_path: Path) -> None:
    name = suite(tmp_path, "")
    ran = xencbt(tmp_path, "run", "--out", f"{name}/out", "--", name)
    assert ran.exit == 3, ran.stdout + ran.stderr
    assert "cannot create the output folder" in ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr


def test_plain_pytest_is_nonzero_where_the_named_selection_left_nothing(tmp_path: Path) -> None:
    name = suite(tmp_path, "\ndef test_of_the_project():\n    pass\n")
    assert pytest_run(tmp_path, name, "--cbt-requirement", "ENABLE-02").returncode != 0
    assert pytest_run(tmp_path, name, "-k", "of_the_project").returncode == 0
