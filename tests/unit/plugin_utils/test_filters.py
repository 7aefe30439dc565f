"""The collection's filters, as a template finds them."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template


@pytest.mark.parametrize("given", ["s3cret", "s3cret\n", "\ufeffs3cret\r\n", " s3cret"])
def test_a_secret_is_taken_as_it_was_meant(given: str) -> None:
    templar = Templar(loader=DataLoader(), variables={"given": given})
    assert templar.template(trust_as_template("{{ given | edge_slm.fleet.plain_secret }}")) == "s3cret"
