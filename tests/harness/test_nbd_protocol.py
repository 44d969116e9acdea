"""The client's side of NBD, without a socket: what is sent, and what is made of whatever comes back."""

import struct
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xencbt.harness.nbd_protocol import (
    ACK,
    GO,
    PADDING_BYTES,
    REPLIES,
    REPLY_BYTES,
    STARTTLS,
    Export,
    NbdFailed,
    NbdMalformed,
    NbdRefused,
    NbdTrouble,
    Receive,
    Secure,
    Send,
    Talk,
    ask,
    check_answer,
    negotiate,
)

NAME = "/a-disk?session_id=OpaqueRef:1"
GREETING = b"NBDMAGICIHAVEOPT\0\3"
SIZE = 3 * 2**40 + 512
UNSUP = 1 << 31 | 1


class EndOfScriptError(Exception):
    """The script has fewer bytes than the talk wants."""


def reply(option: int, kind: int, data: bytes = b"") -> bytes:
    return struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data


def export(size: int = SIZE, flags: int = 3) -> bytes:
    return struct.pack(">QH", size, flags)


def accepted(size: int = SIZE, flags: int = 3) -> bytes:
    return reply(GO, 3, b"\0\0" + export(size, flags)) + reply(GO, ACK)


def play(talk: Talk[Export], script: bytes) -> tuple[Export, list[bytes | str]]:
    """Carry out `talk` with a server that says `script`, whatever it is asked; also what was sent."""
    done: list[bytes | str] = []
    came = b""
    try:
        step = next(talk)
        while True:
            match step:
                case Send(data):
                    done.append(data)
                case Secure():
                    done.append("TLS")
                case Receive(count):
                    if count > len(script):
                        raise EndOfScriptError
                    came, script = script[:count], script[count:]
            step = talk.send(came)
    except StopIteration as end:
        return end.value, done


def options(sent: Iterable[bytes | str]) -> list[int | bytes | str]:
    return [struct.unpack(">8sII", one[:16])[1] if isinstance(one, bytes) and len(one) > 4 else one for one in sent]


def test_an_export_is_opened_in_clear_by_one_option() -> None:
    opened, sent = play(negotiate(NAME, tls=False), GREETING + accepted())
    assert opened == Export(SIZE, read_only=True)
    assert options(sent) == [b"\0\0\0\3", GO]
    assert NAME.encode() in b"".join(part for part in sent if isinstance(part, bytes))


def test_over_tls_the_name_is_told_only_when_it_is_secured() -> None:
    _, sent = play(negotiate(NAME, tls=True), GREETING + reply(STARTTLS, ACK) + accepted())
    assert options(sent) == [b"\0\0\0\3", STARTTLS, "TLS", GO]
    with pytest.raises(NbdRefused, match="POLICY"):
        play(negotiate(NAME, tls=True), GREETING + reply(STARTTLS, 1 << 31 | 2))


@pytest.mark.parametrize(("flags", "padding"), [(1, PADDING_BYTES), (3, 0)])
def test_a_server_without_go_is_asked_in_the_oldest_way(flags: int, padding: int) -> None:
    greeting = GREETING[:-1] + bytes([flags])
    script = greeting + reply(GO, UNSUP) + export(flags=1) + bytes(padding)
    opened, sent = play(negotiate(NAME, tls=False), script)
    assert opened == Export(SIZE, read_only=False)
    assert options(sent) == [bytes([0, 0, 0, flags]), GO, 1]
    assert play(negotiate(NAME, tls=False, oldest=True), greeting + export() + bytes(padding))[0].size == SIZE


@pytest.mark.parametrize(
    ("kind", "name"), [(2, "POLICY"), (3, "INVALID"), (5, "TLS_REQD"), (6, "UNKNOWN"), (1000, "error 1000")]
)
def test_a_refusal_says_its_name(kind: int, name: str) -> None:
    with pytest.raises(NbdRefused, match="no such thing") as refused:
        play(negotiate(NAME, tls=False), GREETING + reply(GO, 1 << 31 | kind, b"no such thing"))
    assert refused.value.reply == name


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (b"HTTP/1.1 400 Bad R", "is no NBD"),
        (b"NBDMAGIC\0\0\x42\x02\x81\x86\x12\x53\0\0", "is no NBD"),
        (GREETING[:-1] + b"\2", "not the fixed one"),
        (GREETING + reply(6, ACK), "option 7 was asked"),
        (GREETING + b"x" * 20, "with magic"),
        (GREETING + reply(GO, ACK), "does not say how large"),
        (GREETING + reply(GO, 3, b"\0\0" + export()[:-1]) + reply(GO, ACK), "11 bytes of information"),
        (GREETING + accepted(flags=2), "without the one that says"),
        (GREETING + struct.pack(">QIII", 0x3E889045565A9, GO, 3, REPLY_BYTES + 1), f"{REPLY_BYTES + 1} bytes"),
        (GREETING + reply(GO, 3, b"\0\1name") * (REPLIES + 1), f"more than {REPLIES} answers"),
    ],
)
def test_a_server_that_speaks_no_nbd_is_told_apart(script: bytes, why: str) -> None:
    with pytest.raises(NbdMalformed, match=why):
        play(negotiate(NAME, tls=False), script)


def test_other_information_is_left_aside() -> None:
    script = (
        GREETING + reply(GO, 3, b"\0\1a name") + reply(GO, 3, b"\0\3" + bytes(12)) + reply(GO, 3, b"") + accepted(7)
    )
    assert play(negotiate(NAME, tls=False), script)[0].size == 7


@settings(max_examples=60, deadline=None)
@given(noise=st.binary(max_size=80), tls=st.booleans(), oldest=st.booleans())
def test_whatever_comes_is_an_export_or_a_trouble(noise: bytes, tls: bool, oldest: bool) -> None:
    for script in (noise, GREETING + noise, GREETING + accepted() + noise):
        try:
            opened, _ = play(negotiate(NAME, tls=tls, oldest=oldest), script)
        except (NbdTrouble, EndOfScriptError):
            continue
        assert 0 <= opened.size < 2**64


def test_one_option_can_be_asked_for_alone() -> None:
    talk = ask(STARTTLS)
    with pytest.raises(NbdRefused, match="UNSUP"):
        play(talk, GREETING + reply(STARTTLS, UNSUP))  # type: ignore[arg-type]  # a talk without a result


def test_the_head_of_an_answer_is_checked() -> None:
    check_answer(struct.pack(">IIQ", 0x67446698, 0, 5), 5)
    for head, trouble, why in [
        (struct.pack(">IIQ", 0x67446698, 1, 5), NbdFailed, "EPERM"),
        (struct.pack(">IIQ", 0x67446698, 4711, 5), NbdFailed, "error 4711"),
        (struct.pack(">IIQ", 0x67446698, 0, 6), NbdMalformed, "nobody sent"),
        (struct.pack(">IIQ", 0x668E33EF, 0, 5), NbdMalformed, "begins with 0x668e33ef"),
    ]:
        with pytest.raises(trouble, match=why):
            check_answer(head, 5)
