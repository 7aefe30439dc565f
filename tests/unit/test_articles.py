"""docs/articles.md names files, headings and tests: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/articles.md"
#: Of a step that is being built; whoever brings it removes the comment.
TO_COME = "<!-- lands with: "
TEXT = "\n".join(line for line in PAGE.read_text(encoding="utf-8").splitlines() if TO_COME not in line)


def headings(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", TEXT))))
def test_what_it_links_to_is_there(link: str) -> None:
    path, _, anchor = link.partition("#")
    page = (PAGE.parent / path).resolve() if path else PAGE
    assert page.exists()
    assert not anchor or anchor in headings(page)


@pytest.mark.parametrize("test", sorted(set(re.findall(r"`([\w/.]+::\w+)`", TEXT))))
def test_the_tests_that_it_names_are_there(test: str) -> None:
    file, name = test.split("::")
    assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:playbooks|examples|tests)/[\w/.]+)", TEXT))))
def test_the_files_that_it_names_are_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"`([a-z]+_[a-z_]+)`", TEXT)) - {"gpt-3.5-turbo"}))
def test_the_inputs_that_it_names_are_there(variable: str) -> None:
    defaults = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("roles/*/defaults/main.yml"))
    assert f"\n{variable}:" in defaults


def test_what_is_to_come_is_told_from_what_is_there() -> None:
    """A row with the comment in the wrong words would be checked as if it were there, or never be."""
    assert all(re.search(r"<!-- lands with: (provision|plan|gateway|chat) --> \|", line) for line in _marked())


def _marked() -> list[str]:
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "<!--" in line]
