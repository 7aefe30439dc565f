"""The web page in a real Chromium: a person types a question and reads the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from endpoints import ARTIFACTS, PIS
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PI = PIS[0]
SECONDS = 90


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def test_question_typed_into_the_page_is_answered(browser: webdriver.Chrome, key: str) -> None:
    browser.get(PI.url)
    # What the Settings page stores.
    config = json.dumps({"apiKey": key, "temperature": 0})
    browser.execute_script(f"localStorage.setItem('LlamaUi.config', {json.dumps(config)})")
    browser.get(PI.url)
    box = WebDriverWait(browser, SECONDS).until(lambda page: page.find_element(By.TAG_NAME, "textarea"))
    WebDriverWait(browser, SECONDS).until(lambda page: box.is_enabled() and box.is_displayed())
    box.send_keys("What is the capital of France? Answer in one word.", Keys.ENTER)
    try:
        WebDriverWait(browser, SECONDS).until(lambda page: "Paris" in page.find_element(By.TAG_NAME, "body").text)
    finally:
        browser.save_screenshot(str(ARTIFACTS / "web-ui.png"))
