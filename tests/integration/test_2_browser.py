"""The web pages in a real Chromium: a person types a question and reads the answer."""

from __future__ import annotations

import json

import chat_page
from chat_page import QUESTION
from devices import ADDRESSES
from endpoints import ARTIFACTS, PIS
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PI = PIS[0]
SECONDS = 90


def test_question_typed_into_the_page_of_a_pi_is_answered(key: str) -> None:
    with chat_page.chromium() as browser:
        browser.get(PI.url)
        # What the Settings page stores.
        config = json.dumps({"apiKey": key, "temperature": 0})
        browser.execute_script(f"localStorage.setItem('LlamaUi.config', {json.dumps(config)})")
        browser.get(PI.url)
        box = WebDriverWait(browser, SECONDS).until(lambda page: page.find_element(By.TAG_NAME, "textarea"))
        WebDriverWait(browser, SECONDS).until(lambda page: box.is_enabled() and box.is_displayed())
        box.send_keys(QUESTION, Keys.ENTER)
        try:
            WebDriverWait(browser, SECONDS).until(lambda page: "Paris" in page.find_element(By.TAG_NAME, "body").text)
        finally:
            browser.save_screenshot(str(ARTIFACTS / "web-ui.png"))


def test_question_typed_into_the_fleets_chat_page_is_answered(key: str) -> None:
    """Connected by the inventory alone: to the devices that it has, with the page's own key."""
    assert "Paris" in chat_page.answer(f"http://{ADDRESSES['builder-01']}:8000", key, ARTIFACTS / "chat-page.png")
