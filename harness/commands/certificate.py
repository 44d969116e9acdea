"""`xencbt certificate` and `xencbt verify`: what a full run showed of a product, signed, and how to check it."""

import argparse
import datetime as dt
import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

from xencbt.harness.catalogue import catalogue_hash
from xencbt.harness.catalogue.levels import certificate_levels
from xencbt.harness.commands import Commands
from xencbt.harness.errors import UsageError
from xencbt.harness.integrity import own_integrity
from xencbt.harness.keys import as_hex, make_key, read_private, read_public
from xencbt.harness.sinks import EVENTS_FILE
from xencbt.harness.verdicts import Exit
from xencbt.reports.certifying import Asked, certificate, obstacles
from xencbt.reports.layout import hanging
from xencbt.reports.pages import certificate as certificate_page
from xencbt.reports.plain import one_line
from xencbt.reports.saved import Saved, read_run
from xencbt.reports.signing import as_file, read_certificate, signed
from xencbt.reports.verifying import contradictions
from xencbt.reports.wanted import write
from xencbt.reports.write import RUN_FILE

LONGEST_NAME = 200
_NOT_CERTIFIABLE = 1
_INVALID, _KEY_NOT_CHECKED = 1, 2


def add(commands: Commands) -> None:
    """Add `certificate` and `verify`."""
    making = commands.add_parser(
        "certificate",
        help="certify what a full run showed of a product",
        epilog="Exit code: 0 written, 1 not certifiable (all reasons are told), 3 what was named cannot be used.",
    )
    making.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="folder of a full, unfiltered run")
    making.add_argument("--vendor", metavar="NAME", help="whose product it is")
    making.add_argument("--product", metavar="NAME", help="what the product is called")
    making.add_argument("--level", choices=tuple(certificate_levels()), help="which requirements must have passed")
    making.add_argument("--key", metavar="FILE", type=Path, help="private key (Ed25519, PEM) that nobody else can read")
    making.add_argument("--out", metavar="FOLDER", type=Path, help="where the two files go; default: DIR")
    making.add_argument("--emulated", action="store_true", help="make a specimen, marked so, of an emulated host")
    making.add_argument("--new-key", metavar="FILE", type=Path, help="only make a key, and FILE.pub beside it")
    making.set_defaults(call=_certificate)
    checking = commands.add_parser(
        "verify",
        help="check a certificate's signature, and that it holds together",
        epilog="Exit code: 0 valid, by the key given; 1 not valid; 2 valid, by a key not checked; 3 no certificate.",
    )
    checking.add_argument("file", metavar="FILE", type=Path, help="certificate.json")
    checking.add_argument("--key", metavar="FILE", type=Path, help="the issuer's public key (PEM), known to be theirs")
    checking.set_defaults(call=_verify)


def _certificate(chosen: argparse.Namespace, _: list[str]) -> int:
    try:
        if chosen.new_key is not None:
            return _new_key(chosen.new_key)
        asked = _asked(chosen)
        key = read_private(chosen.key)
        saved = read_run(chosen.folder)
        why_not = obstacles(saved.run, asked, checked=saved.checked, catalogue_hash=catalogue_hash())
        if why_not:
            return _not_certifiable(why_not)
        document = signed(certificate(saved.run, asked, _hashes(saved)), key)
        folder = chosen.out or saved.folder
        write(str(folder / "certificate.json"), as_file(document))
        write(str(folder / "certificate.html"), certificate_page.render(document, asked.level))
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE
    specimen = " (a specimen: the host was emulated)" if asked.emulated else ""
    print(f"certificate  {folder}/certificate.json, {folder}/certificate.html{specimen}")
    print(f"signed by    {document['signature']['public_key']}")
    return Exit.OK


def _new_key(path: Path) -> int:
    public = make_key(path)
    print(f"private key  {path} (keep it to yourself)")
    print(f"public key   {public}: {as_hex(read_public(public))}")
    return Exit.OK


def _asked(chosen: argparse.Namespace) -> Asked:
    given = {"DIR": chosen.folder, "--vendor": chosen.vendor, "--product": chosen.product, "--level": chosen.level}
    missing = [name for name, value in (given | {"--key": chosen.key}).items() if value is None]
    if missing:
        raise UsageError(f"certificate needs {', '.join(missing)}")
    for name in ("vendor", "product"):
        said = getattr(chosen, name)
        if not said.strip() or not said.isprintable() or len(said) > LONGEST_NAME:
            raise UsageError(f"--{name} takes a name of up to {LONGEST_NAME} characters that print")
    issued = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return Asked(chosen.vendor, chosen.product, certificate_levels()[chosen.level], issued, chosen.emulated)


def _not_certifiable(reasons: list[str]) -> int:
    print(f"Not certifiable, for {len(reasons)} reason{'' if len(reasons) == 1 else 's'}:")
    for reason in reasons:
        print(hanging("-", reason, indent=2))
    return _NOT_CERTIFIABLE


def _hashes(saved: Saved) -> dict[str, str]:
    return {name: hashlib.sha256((saved.folder / name).read_bytes()).hexdigest() for name in (RUN_FILE, EVENTS_FILE)}


def _verify(chosen: argparse.Namespace, _: list[str]) -> int:
    own = own_integrity()
    try:
        document = read_certificate(chosen.file)
        key = None if chosen.key is None else as_hex(read_public(chosen.key))
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE
    wrong = contradictions(
        document,
        key=key,
        levels=certificate_levels(),
        catalogue_hash=catalogue_hash(),
        published=None if own.modified else (version("xencbt"), own.files_hash),
    )
    if wrong:
        print(f"Not valid, for {len(wrong)} reason{'' if len(wrong) == 1 else 's'}:")
        for reason in wrong:
            print(hanging("-", reason, indent=2))
        return _INVALID
    said, signature = document["certificate"], document["signature"]
    of = "an EMULATED host (a specimen)" if said["emulated"] else "a host"
    target = one_line(" ".join(said["target"][name] for name in ("product", "version", "build")))
    print(hanging("holds together", f"{said['vendor']}: {said['product']}, level {said['level']}"))
    print(hanging("judged        ", f"{of}: {target}, SR driver {said['target']['driver'] or 'not told'}"))
    for limit in said["limits"]:
        print(hanging("limit         ", limit))
    if said["suite"]["catalogue_hash"] != catalogue_hash():
        print(hanging("not checked   ", "what the level requires: it is of another catalogue than this version's"))
    if own.modified:
        print(hanging("not checked   ", "the hash of the suite: this installation is not as it was published"))
    if key is None:
        print(hanging("signed by     ", f"{signature['public_key']}: whose key that is was not checked (--key FILE)"))
        return _KEY_NOT_CHECKED
    print(hanging("signed by     ", f"{signature['public_key']}, the key that was given"))
    return Exit.OK
