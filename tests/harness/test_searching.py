"""What is tried depends on the seed alone: not on how the harness is installed, nor on what else is imported."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from xencbt.harness import searching

RARE = 20_261_129_000_017


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[None]:
    """Import a module of the user's own that holds a number."""
    place = tmp_path / "beside.py"
    place.write_text(f"RARE = {RARE}\n")
    spec = spec_from_file_location("beside", place)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["beside"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield
    del sys.modules["beside"]


def drawn(meanwhile: AbstractContextManager[None]) -> list[int]:
    """Draw numbers by the seed 1."""
    numbers: list[int] = []

    @hypothesis.seed(1)
    @hypothesis.settings(max_examples=400, database=None, deadline=None)
    @hypothesis.given(st.integers(0, 2**60))
    def draw(number: int) -> None:
        numbers.append(number)

    with meanwhile:
        draw()
    return numbers


@pytest.mark.usefixtures("beside")
def test_nothing_is_drawn_from_the_code_that_is_imported() -> None:
    assert RARE in drawn(nullcontext()), "hypothesis draws from the code now and then, as long as it is let"
    assert RARE not in drawn(searching.by_seed_alone())


def test_the_draws_are_the_same_whatever_is_imported(request: pytest.FixtureRequest) -> None:
    before = drawn(searching.by_seed_alone())
    request.getfixturevalue("beside")
    assert drawn(searching.by_seed_alone()) == before
