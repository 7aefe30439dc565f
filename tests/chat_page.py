"""The chat page as people open it: in a real Chromium, which asks for a key."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 120
QUESTION = "What is the capital of France? Answer in one word."
CONNECTED = "return window.SillyTavern ? SillyTavern.getContext().onlineStatus : 'no_connection'"


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Yield a browser that takes certificates of any CA."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    options.accept_insecure_certs = True
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def basic(key: str) -> dict[str, str]:
    """Return what a browser sends when it has asked for a key."""
    return {"Authorization": f"Basic {b64encode(f'me:{key}'.encode()).decode()}"}


@contextmanager
def opened(url: str, key: str, picture: Path) -> Iterator[tuple[webdriver.Chrome, WebDriverWait[webdriver.Chrome]]]:
    """Open the page with a key; a picture of the end is taken in any case."""
    scheme, _, address = url.partition("://")
    with chromium() as page:
        # In place of the dialog, which no driver can fill in. From then on the browser sends the key by itself.
        page.get(f"{scheme}://me:{key}@{address}/version")
        page.get(url)
        try:
            # A page replaces the message while it is streamed.
            yield page, WebDriverWait(page, SECONDS, ignored_exceptions=[StaleElementReferenceException])
        finally:
            page.save_screenshot(str(picture))


def open_webui_answer(url: str, key: str, picture: Path) -> str:
    """Ask Open WebUI, and return what is answered."""
    with opened(url, key, picture) as (page, wait):
        wait.until(lambda _: page.find_elements(By.ID, "chat-input"))[0].send_keys(QUESTION, Keys.ENTER)
        said = ".chat-assistant"
        wait.until(lambda _: any(found.text.strip() for found in page.find_elements(By.CSS_SELECTOR, said)))
        # It is streamed: the end is when the button that stops it is gone.
        wait.until(lambda _: not page.find_elements(By.CSS_SELECTOR, "button[aria-label='Stop']"))
        return str(wait.until(lambda _: page.find_elements(By.CSS_SELECTOR, said)[-1].text))


def answer(url: str, key: str, picture: Path) -> str:
    """Ask SillyTavern, and return what is answered."""
    with opened(url, key, picture) as (page, wait):
        wait.until(lambda _: page.execute_script(CONNECTED) != "no_connection")
        box = page.find_element(By.ID, "send_textarea")
        wait.until(lambda _: box.is_displayed() and not page.find_elements(By.ID, "preloader"))
        # Of a very small model only its likeliest answer is worth anything.
        page.execute_script("SillyTavern.getContext().chatCompletionSettings.temp_openai = 0")
        box.send_keys(QUESTION, Keys.ENTER)
        said = "#chat .mes[is_user='false'] .mes_text"
        wait.until(lambda _: any(found.text.strip("…. ") for found in page.find_elements(By.CSS_SELECTOR, said)))
        # It is streamed: the end is when the button that stops it is gone.
        wait.until(lambda _: not page.find_element(By.ID, "mes_stop").is_displayed())
        time.sleep(1)
        return str(wait.until(lambda _: page.find_elements(By.CSS_SELECTOR, said)[-1].text))
