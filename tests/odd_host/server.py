"""The wire: XML-RPC as the standard library writes it, typed and indented, and raw disks over plain HTTP."""

import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xmlrpc.client import dumps, loads

from tests.odd_host.habits import Habits
from tests.odd_host.host import OddHost
from tests.odd_host.records import Refusal

FRAME = struct.Struct("<QI")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/cli":  # this host has no command line
            self.close_connection = True
            self.send_error(404)
            return
        params, method = loads(sent)
        answer = self._answer(str(method), list(params))
        body = dumps((answer,), methodresponse=True, encoding="utf-8").encode()
        self.send_response(200, "As You Wish")
        self.send_header("content-type", "text/xml; charset=UTF-8")
        self.send_header("x-odd", "yes")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._transfer("/export_raw_vdi", self._export)

    def do_PUT(self) -> None:
        self._transfer("/import_raw_vdi", self._import)

    def _export(self, vdi: str) -> None:
        with self.server.host.records.lock:
            content = self.server.host.disks.read(vdi)
        self.wfile.write(content)
        self.wfile.flush()

    def _import(self, vdi: str) -> None:
        disks = self.server.host.disks
        if "chunked=true" not in self.path:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            with self.server.host.records.lock:
                return disks.write(vdi, 0, data)
        while (frame := FRAME.unpack(self.rfile.read(FRAME.size))) != (0, 0):
            offset, length = frame
            data = self.rfile.read(length)
            with self.server.host.records.lock:
                disks.write(vdi, offset, data)
        return None

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, method: str, params: list[Any]) -> Any:
        try:
            if method == "system.listMethods":
                return self.server.host.list_methods()
            return {"Odd": "struct", "Value": self.server.host.call(method, params), "Status": "Success"}
        except Refusal as refusal:
            return {"ErrorDescription": refusal.description, "Odd": "struct", "Status": "Failure"}

    def _transfer(self, path: str, work: Callable[[str], None]) -> None:
        """Answer the headers, do `work` on the disk, and have the task tell what came of it."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        host = self.server.host
        self.close_connection = True
        if parts.path != path:
            return self.send_error(404)
        with host.records.lock:
            known = query.get("session_id") in host.records.refs("session")
        if not known:
            return self.send_error(403)
        self.send_response(200, "Here It Comes")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()
        told: dict[str, Any] = {"status": "success", "progress": 1.0}
        try:
            work(query["vdi"])
        except Refusal as refusal:
            told = {"status": "failure", "error_info": refusal.description}
        except OSError:
            told = {"status": "cancelled"}
        with host.records.lock:
            if query.get("task_id") in host.records.refs("task"):
                host.records.set("task", query["task_id"], **told)
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: OddHost) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host = host
        self.troubles: list[str] = []

    def handle_error(self, *_: object) -> None:
        self.troubles.append(repr(sys.exc_info()[1]))


class Served:
    """An odd host that is being served: where, and what went wrong in the server itself."""

    def __init__(self, host: OddHost, server: _Server) -> None:
        self.host = host
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.troubles = server.troubles


@contextmanager
def served(password: str, habits: Habits | None = None) -> Iterator[Served]:
    """Serve an odd host on a free port of 127.0.0.1."""
    server = _Server(OddHost(password, habits))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Served(server.host, server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
