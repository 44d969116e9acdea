"""Which statements of the suites are assertions, and what is left without one."""

import ast

import pytest

from tests.proof.sites import sites, without

SOURCE = """
def test_a(lab):
    disk = lab.create_disk()
    assert disk.size == 4
    with lab.unchanged(disk, after="x"):
        disk.look()
    with disk.lent(), lab.unchanged(disk):
        disk.look()
    assert_listed(disk)
    listed = assert_listed(disk)
    return lab.refuses(disk)


class Scene:
    def judge(self):
        self.lab.refuses(
            self.disk,
        )


def assert_listed(disk):
    assert disk.listed, "it is not"
"""


def test_asserts_asserting_calls_and_blocks_are_assertions() -> None:
    assert [(site.line, site.end, site.function) for site in sites("scene", SOURCE)] == [
        (4, 4, "test_a"),
        (5, 5, "test_a"),
        (7, 7, "test_a"),
        (9, 9, "test_a"),
        (16, 18, "Scene.judge"),
        (22, 22, "assert_listed"),
    ]


@pytest.mark.parametrize(
    ("number", "gone", "left"),
    [
        (0, "assert disk.size == 4", "disk = lab.create_disk()"),
        (1, "after='x'", "disk.look()"),
        (2, "with disk.lent(), lab.unchanged(disk):", "with disk.lent():"),
        (4, "self.lab.refuses", "def judge(self)"),
    ],
)
def test_without_one_all_else_stays(number: int, gone: str, left: str) -> None:
    whole = ast.unparse(ast.parse(SOURCE))
    site = sites("scene", SOURCE)[number]
    made = ast.unparse(without(SOURCE, site))
    assert gone in whole
    assert whole.count(gone) == made.count(gone) + 1
    assert left in made
    compile(without(SOURCE, site), "scene.py", "exec")


def test_a_place_without_an_assertion_is_none() -> None:
    site = sites("scene", SOURCE)[0]
    with pytest.raises(ValueError, match="no assertion"):
        without("x = 1", site)
