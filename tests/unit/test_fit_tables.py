"""tools/fit_tables.py: the tables of docs/operators/which-model.md."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.tools.fit_tables import BOARDS, PAGE, SHAPES, TABLES, best, with_tables


def test_the_page_has_the_tables_as_they_are_computed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text) == text


def test_a_stale_table_is_written_again() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text.replace("Mistral 7B", "Mistral 8B", 40)) != text
    assert with_tables(text.replace("| Mistral 7B |", "| Mistral 8B |")) == text


def test_a_page_without_a_place_for_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for the table boards"):
        with_tables("".join(f"<!-- {name}:start -->\n<!-- {name}:end -->" for name in TABLES if name != "boards"))


@pytest.mark.parametrize(
    ("board", "model", "expected"),
    [
        ("Pi 2 GB", "SmolLM2 135M", "Q8_0"),
        ("Pi 2 GB", "Mistral 7B", ""),
        # The book's own question: a 4 GB Pi takes its model as Q2_K, and a 6 GB one as Q4_K_M.
        ("Pi 4 GB", "Mistral 7B", "Q2_K"),
        ("Pi 6 GB", "Mistral 7B", "Q4_K_M"),
        ("Pi 8 GB", "Qwen2.5 14B", "Q3_K_S"),
        ("AGX Orin 64 GB", "Qwen2.5 14B", "Q8_0"),
    ],
)
def test_best_type_on_a_board(board: str, model: str, expected: str) -> None:
    (found,) = [one for one in BOARDS if one.name == board]
    weights = best(found, SHAPES[model])
    assert (weights.quantisation if weights else "") == expected
