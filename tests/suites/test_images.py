"""Contents are compared block by block, by what is read of them."""

import hypothesis
from hypothesis import strategies as st

from xencbt.harness.bitmap import BLOCK
from xencbt.suites.images import ZEROS, prints_of
from xencbt.suites.restoring import differing


def image(blocks: list[int], end: int) -> bytes:
    return b"".join(bytes([block]) * BLOCK for block in blocks) + b"x" * end


IMAGES = st.builds(image, st.lists(st.integers(0, 2), max_size=3), st.sampled_from((0, 1, BLOCK - 1)))


@hypothesis.given(IMAGES, IMAGES)
def test_fingerprints_differ_where_the_bytes_do(before: bytes, after: bytes) -> None:
    length = max(len(prints_of(before)), len(prints_of(after)))
    first, second = (prints_of(one) + (ZEROS,) * length for one in (before, after))
    assert {block for block in range(length) if first[block] != second[block]} == differing(before, after)


def test_a_content_costs_little_to_keep() -> None:
    assert sum(map(len, prints_of(bytes(16 * BLOCK)))) == 16 * 16
