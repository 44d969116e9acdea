"""What a backup does with a bitmap, on real content: which blocks differ, and what an older image becomes by them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from xencbt.fixtures.disks import Disk
from xencbt.harness.bitmap import BLOCK, BadBitmap, Bitmap, describe
from xencbt.harness.blockmap import BlockMap
from xencbt.harness.expectations import SUCCESS, either, refusals
from xencbt.harness.outcome import Ok
from xencbt.harness.verdicts import Violation
from xencbt.suites.listing import assert_listed


def differing(before: bytes, after: bytes) -> frozenset[int]:
    """Return the blocks in which two images differ; where one is shorter it counts as zeroes.

    >>> sorted(differing(b"", bytes(65536) + b"x"))
    [1]
    """
    length = max(len(before), len(after))
    first, second = (image.ljust(length, b"\0") for image in (before, after))
    return frozenset(
        block for block, at in enumerate(range(0, length, BLOCK)) if first[at : at + BLOCK] != second[at : at + BLOCK]
    )


def restored(image: bytes, source: bytes, blocks: Iterable[int]) -> bytes:
    """Put `blocks` of `source` over `image`, as a restore from an incremental backup does; `source` gives the size."""
    result = bytearray(image.ljust(len(source), b"\0")[: len(source)])
    for block in blocks:
        at = block * BLOCK
        result[at : at + BLOCK] = source[at : at + BLOCK]
    return bytes(result)


def assert_safe(
    bitmap: Bitmap,
    before: bytes,
    after: bytes,
    what: str = "the listing",
    *,
    between: tuple[Disk, Disk] | None = None,
) -> None:
    """Expect that every block in which the contents differ is marked (LIST-02); they are those of `between`.

    Raises Violation with the blocks that a backup would lose.
    """
    assert_marked(bitmap, differing(before, after), what, size=len(after), between=between)


def assert_marked(
    bitmap: Bitmap, wanted: frozenset[int], what: str, *, size: int, between: tuple[Disk, Disk] | None = None
) -> None:
    """Expect that every block of `wanted`, those in which two contents differ, is marked; raises as `assert_safe`.

    The later of the two has `size` bytes.
    """
    missed = wanted - bitmap.blocks
    if missed:
        names = ("", "") if between is None else (between[0].shown, between[1].shown)
        raise Violation(
            f"{what}: the contents differ in {describe(missed)}, which a backup would lose",
            expected=(f"at least {describe(wanted)} marked",),
            actual=str(bitmap),
            block_map=BlockMap.of(bitmap, wanted, between=names, size=size),
        )


def assert_same_content(actual: bytes, expected: bytes, what: str) -> None:
    """Expect that two images are equal; raises Violation that says in which blocks `what` is another one."""
    if actual != expected:
        blocks = describe(differing(actual, expected))
        raise Violation(f"{what} is not exact", expected=("every byte as it was",), actual=f"others in {blocks}")


def marked(answer: object) -> Bitmap:
    """Decode what `list_changed_blocks` answered; raises Violation where it is no bitmap (LIST-01)."""
    try:
        return Bitmap.from_base64(answer)
    except BadBitmap as error:
        raise Violation("the listing is no bitmap", expected=("standard base64",), actual=str(error)) from error


def contents(disks: Iterable[Disk]) -> dict[Disk, bytes]:
    """Read each of `disks` whole."""
    return {disk: disk.read() for disk in disks}


def assert_comparable(
    snapshots: Sequence[Disk],
    images: Mapping[Disk, bytes] | None = None,
    before: Mapping[tuple[Disk, Disk], Bitmap] | None = None,
) -> dict[tuple[Disk, Disk], Bitmap]:
    """Expect that each of `snapshots` (oldest first) can be compared with each later one, safely on real content.

    `images` are contents that were read before, and are to be held against now; `before` is what was returned then, of
    which nothing may be missing. Returns the bitmaps by pair.
    """
    images = images or contents(snapshots)
    found = {}
    for (first, earlier), (last, later) in combinations(enumerate(snapshots), 2):
        found[earlier, later] = bitmap = assert_listed(earlier, later, ())
        assert_safe(
            bitmap, images[earlier], images[later], f"from state {first} to state {last}", between=(earlier, later)
        )
        if before is not None and not bitmap.keeps(before[earlier, later]):
            expected, actual = (f"all of {before[earlier, later]}",), str(bitmap)
            raise Violation(f"from state {first} to state {last} less is listed", expected=expected, actual=actual)
    return found


def assert_misses_nothing(earlier: Disk, later: Disk) -> bool:
    """Expect that listing from `earlier` to `later` is refused, or marks every block in which their contents differ.

    Returns whether it was listed; raises Violation.
    """
    lab = later.lab
    outcome = earlier.attempt("list_changed_blocks", later.ref)
    refused = refusals.unrelated() | refusals.doubtful_log()
    lab.check(outcome, either(SUCCESS, refused), "VDI.list_changed_blocks")
    if isinstance(outcome, Ok):
        assert_safe(marked(outcome.value), earlier.read(), later.read(), between=(earlier, later))
    return isinstance(outcome, Ok)


def assert_unrelated(earlier: Disk, later: Disk) -> None:
    """Expect that listing from `earlier` to `later` is refused with the documented message, and changes neither."""
    with later.lab.unchanged(later, after="a refused VDI.list_changed_blocks"):
        later.lab.refuses(earlier, "list_changed_blocks", later.ref, expectation=refusals.unrelated())
