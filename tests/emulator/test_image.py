"""Layered content: what is read is what was written, and layers nobody needs go."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from xencbt.fixtures.emulator import storage_operations as ops
from xencbt.fixtures.emulator.blocks import BLOCK, BlockSet
from xencbt.fixtures.emulator.drivers import GIB, LVM, MIB
from xencbt.fixtures.emulator.image import Image, Images, Part, Spool, differing, extents
from xencbt.fixtures.emulator.storage import StorageRepository

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE = 5 * BLOCK + 777


def test_random_histories_read_back_as_plain_bytes_would() -> None:
    for seed in range(8):
        replay(random.Random(seed))


def replay(chance: random.Random) -> None:
    spool = Spool()
    images = Images(spool)
    live: dict[int, Image] = {0: images.blank(SIZE)}
    plain = {0: bytearray(SIZE)}
    for step in range(40):
        name = chance.choice(sorted(live))
        action = chance.choice(["write", "write", "fill", "branch", "drop", "copy"])
        offset = chance.randrange(SIZE)
        length = chance.randrange(min(SIZE - offset, 2 * BLOCK) + 1)
        if action == "write":
            data = chance.randbytes(length)
            images.write(live[name], offset, data)
            plain[name][offset : offset + length] = data
        elif action == "fill":
            byte = chance.randrange(256)
            images.fill(live[name], offset, length, byte)
            plain[name][offset : offset + length] = bytes([byte]) * length
        elif action == "branch":
            live[name], live[step + 1] = images.branch(live[name])
            plain[step + 1] = bytearray(plain[name])
        elif action == "copy":
            live[step + 1] = images.flat_copy(live[name])
            plain[step + 1] = bytearray(plain[name])
        elif len(live) > 1:
            del live[name], plain[name]
        images.collect(live.values())
        for one, image in live.items():
            assert images.read(image, 0, SIZE) == plain[one]
            start = chance.randrange(SIZE)
            length = chance.randrange(SIZE - start + 1)
            assert joined(images.parts(image, start, length)) == plain[one][start : start + length]
        newest = max(live)
        assert outside_extents(live[newest], plain[newest]).count(0) == SIZE
    images.collect([])
    assert spool.used == 0


def joined(parts: Iterable[Part]) -> bytes:
    return b"".join(
        bytes((part.byte,)) * part.length if part.file is None else os.pread(part.file, part.length, part.at)
        for part in parts
    )


def test_parts_are_as_long_as_they_can_be() -> None:
    images = Images(Spool())
    image = images.blank(1024 * BLOCK)
    noise = random.Random(3).randbytes(3 * BLOCK)
    images.write(image, 8 * BLOCK, noise)
    images.fill(image, 11 * BLOCK, 2 * BLOCK, 7)
    zeros, mixed, sevens, rest = images.parts(image, 5, 512 * BLOCK)
    assert (zeros.length, zeros.byte, zeros.file) == (8 * BLOCK - 5, 0, None)
    assert (mixed.length, joined([mixed])) == (3 * BLOCK, noise)
    assert (sevens.length, sevens.byte, sevens.file) == (2 * BLOCK, 7, None)
    assert (rest.length, rest.byte) == (512 * BLOCK + 5 - 13 * BLOCK, 0)
    assert list(images.parts(image, 5, 0)) == []
    with pytest.raises(ValueError, match="not inside"):
        list(images.parts(image, 1, image.size))


def outside_extents(image: Image, content: bytearray) -> bytearray:
    rest = bytearray(content)
    for start, length in extents(image):
        rest[start : start + length] = bytes(length)
    return rest


def test_extents_join_and_end_at_the_size() -> None:
    images = Images(Spool())
    image = images.blank(SIZE)
    for block in (0, 1, 3, 5):
        images.fill(image, block * BLOCK, min(BLOCK, SIZE - block * BLOCK), 1)
    assert list(extents(image)) == [(0, 2 * BLOCK), (3 * BLOCK, BLOCK), (5 * BLOCK, 777)]


def test_differing_finds_the_blocks_that_differ() -> None:
    images = Images(Spool())
    image = images.blank(SIZE)
    images.write(image, 10, b"same")
    base, image = images.branch(image)
    images.write(image, BLOCK + 5, b"new")
    assert list(differing(image, base)) == [1]


def test_a_chain_is_as_deep_as_what_is_left_of_it() -> None:
    store = StorageRepository(LVM, Spool(), 4 * 1024 * GIB)
    store.run("create", ops.create(store, "V", 2 * MIB))
    store.run("enable_cbt", ops.enable_cbt(store, "V"))
    for number in range(29):
        store.run("snapshot", ops.snapshot(store, "V", f"S{number}"))
    assert store.disk("V").image.top.depth == 30
    for number in range(29):
        store.run("data_destroy", ops.data_destroy(store, f"S{number}"))
    assert store.disk("V").image.top.depth == 1


def test_a_block_set_is_a_set_of_numbers() -> None:
    chance = random.Random(1)
    blocks, plain = BlockSet(), set[int]()
    for _ in range(100):
        start = chance.randrange(5000)
        run = range(start, start + chance.randrange(1500))
        blocks.add(run)
        plain.update(run)
    assert list(blocks) == sorted(plain)
    assert len(blocks) == len(plain)
    bits = "".join("1" if b in plain else "0" for b in range(7000))
    assert blocks.bitmap(7000 * BLOCK) == int(bits, 2).to_bytes(875, "big")


def test_spare_bits_are_zero_and_blocks_start_at_the_top() -> None:
    blocks = BlockSet()
    blocks.add(range(2))
    assert blocks.bitmap(9 * BLOCK + 1) == b"\xc0\x00"


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_full_size_disk_with_a_history_stays_small() -> None:
    """2040 GiB, 1,000 blocks of noise, 25 snapshots: below 64 MiB in all."""
    chance = random.Random(2)
    store = StorageRepository(LVM, Spool(), 4 * 1024 * GIB)
    before = resident()
    store.run("create", ops.create(store, "V", 2040 * GIB))
    store.run("enable_cbt", ops.enable_cbt(store, "V"))
    written = chance.sample(range(2040 * GIB // BLOCK), 1000)
    for number, block in enumerate(written):
        if number % 40 == 0:
            store.run("snapshot", ops.snapshot(store, "V", f"S{number // 40}"))
        store.write("V", block * BLOCK, chance.randbytes(BLOCK))
    assert len(store.disks) == 26
    assert resident() - before < 64 * MIB
    assert sorted(ops.changed_blocks(store, "S0", "V")[0]) == sorted(written)
