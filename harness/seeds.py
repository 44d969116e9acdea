"""One seed drives every random choice of a run; each test's own seed follows from it and from the test's id."""

import hashlib
import secrets

SEED_BITS = 32


def fresh_seed() -> int:
    """Draw a seed for a run that was given none."""
    return secrets.randbits(SEED_BITS)


def derive(seed: int, *path: str) -> int:
    """Return the seed of the thing at `path` (test id, purpose, …): other workers or selections change no draw."""
    material = "\0".join((str(seed), *path)).encode()
    return int.from_bytes(hashlib.sha256(material).digest()[:8], "big")
