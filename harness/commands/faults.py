"""`xencbt faults` and `xencbt proxy`: the vocabulary of faults, and an interceptor to try it by hand."""

import argparse
import json
import sys
from pathlib import Path

from xencbt.harness.commands import Commands
from xencbt.harness.errors import HarnessError, UsageError
from xencbt.harness.faults import KINDS
from xencbt.harness.trust import Trust
from xencbt.harness.verdicts import Exit
from xencbt.proxies.standalone import serve


def add(commands: Commands) -> None:
    """Add `faults` and `proxy`."""
    vocabulary = commands.add_parser("faults", help="list the kinds of fault and their parameters")
    vocabulary.add_argument("--json", action="store_true", help="as JSON")
    vocabulary.set_defaults(call=_faults)
    proxy = commands.add_parser("proxy", help="stand in front of a host, by hand, and carry out a plan of faults")
    proxy.add_argument("--upstream", metavar="URL", required=True, help="the host")
    proxy.add_argument("--plan", metavar="FILE", help="the faults (TOML); none: everything is passed on as it is")
    proxy.add_argument("--listen", metavar="ADDRESS:PORT", default="127.0.0.1:0", help="where; loopback only")
    proxy.add_argument("--tls", action="store_true", help="say where to connect with TLS, and what to trust there")
    for flag, metavar in (("--ca", "F"), ("--fingerprint", "HEX")):
        proxy.add_argument(flag, metavar=metavar, help="how the host is trusted, as in `run`")
    proxy.add_argument("--insecure", action="store_true", help="accept any certificate of the host")
    proxy.set_defaults(call=_proxy)


def _faults(chosen: argparse.Namespace, _: list[str]) -> int:
    kinds = [kind.as_json() for kind in KINDS.values()]
    if chosen.json:
        print(json.dumps(kinds, indent=2))
        return Exit.OK
    for kind in kinds:
        print(f"{kind['name']:<20} {kind['layer']:<10} {' or '.join(kind['phases'])}\n    {kind['summary']}")
        for each in kind["parameters"]:
            default = "required" if each["required"] else f"default {each['default']}"
            print(f"      {each['name']}: {each['type']}, {default}")
    print(f"{len(kinds)} kinds of fault")
    return Exit.OK


def _proxy(chosen: argparse.Namespace, _: list[str]) -> int:
    trust = Trust(Path(chosen.ca) if chosen.ca else None, chosen.fingerprint, chosen.insecure)
    plan = Path(chosen.plan) if chosen.plan else None
    try:
        serve(chosen.upstream, plan, chosen.listen, trust, tls=chosen.tls, out=sys.stdout)
    except UsageError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.USAGE
    except HarnessError as error:
        print(f"xencbt: {error}", file=sys.stderr)
        return Exit.ERROR
    return Exit.OK
