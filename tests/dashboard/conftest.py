"""A real Chromium on the real product; the simulator stands in for WhatsApp."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.conftest import (  # noqa: F401 - fixtures
    customer,
    open_shop,
    parts,
    shared_product,
    simulator,
)
from tests.e2e.harness import API_KEY, Product

CHROMIUM = "/usr/bin/chromium"
INSTALL_SECONDS = 600
WAIT_MS = 30_000
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or CHROMIUM
    if not Path(path).exists():
        assert os.geteuid() == 0, "install Chromium first: apt-get install chromium"
        for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(
                ["apt-get", "-qq", *command],
                check=True,
                timeout=INSTALL_SECONDS,
                stdout=subprocess.DEVNULL,
            )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser: Browser, shared_product: Product) -> Iterator[Callable[..., Page]]:  # noqa: F811
    """Opens a tab; the test fails if a page had an error or met its content security policy."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_(*, signed_in: bool = True, **options: object) -> Page:
        context = browser.new_context(
            base_url=str(shared_product.client.base_url),
            locale="pt-BR",
            **{"viewport": {"width": 1280, "height": 900}, **options},
        )
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda line: complaints.append(line.text) if "Content Security" in line.text else None,
        )
        page.goto("/")
        if signed_in:
            sign_in(page)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def sign_in(page: Page, key: str = API_KEY) -> None:
    page.get_by_label("Chave de API").fill(key)
    page.get_by_role("button", name="Entrar").click()
    page.get_by_role("navigation").wait_for()
