"""A real browser without a window, for the tests of pages: nothing it does leaves this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from tests.foreign import require

DEADLINE_S = 60.0

OWN = frozenset({"file", "data", "blob", "about", "chrome"})
"""Schemes of addresses that lead nowhere else: files, what a page carries in itself, the browser's own first page."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1000",
)


class Browser:
    """One page at a time, seen as a reader sees it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path) -> None:
        """Open the file `page` and forget what was loaded before."""
        self.driver.get_log("performance")  # type: ignore[no-untyped-call]  # selenium types only a part
        self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        self.driver.get("about:blank")
        self.driver.get(page.as_uri())

    def run(self, script: str, *arguments: object) -> Any:
        """Return what the body of a function gives on the page."""
        return self.driver.execute_script(script, *arguments)

    def tell(self, command: str, **parameters: object) -> Any:
        """Return what a command of the DevTools protocol gives."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def wait(self, condition: str, *arguments: object) -> None:
        """Wait until an expression is true on the page; raises TimeoutException."""
        WebDriverWait(self.driver, DEADLINE_S).until(
            lambda _: self.run(f"return Boolean({condition})", *arguments), condition
        )

    def loaded(self) -> list[str]:
        """Return the addresses that were asked for since `open`, but for files and what a page carries in itself."""
        asked = []
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.append(message["params"]["request"]["url"])
        return [url for url in asked if urlsplit(url).scheme not in OWN]

    def complaints(self) -> list[str]:
        """Return what the browser wrote to its console since `open`: errors, and what a policy forbade."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    @contextmanager
    def phone(self) -> Iterator[None]:
        """Show the page as on a phone, 390 wide."""
        self.tell("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
        try:
            yield
        finally:
            self.tell("Emulation.clearDeviceMetricsOverride")

    @contextmanager
    def colours(self, scheme: str) -> Iterator[None]:
        """Let the system prefer `dark` or `light`."""
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        try:
            yield
        finally:
            self.tell("Emulation.setEmulatedMedia", features=[])


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start Debian's Chromium with a new profile in the folder `profile`; skips the test where it is not installed."""
    require("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
