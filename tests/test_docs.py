"""The documents and notebooks say what the code does."""

import re
from pathlib import Path

import nbformat
import pytest

from openforge import checks, runner
from openforge.service.settings import ServiceSettings
from openforge.tables import TABLES

ROOT = Path(__file__).parents[1]


def test_the_tables_are_documented():
    """docs/reference/tables.md has every column of every table."""
    text = (ROOT / "docs/reference/tables.md").read_text()
    for name, schema in TABLES.items():
        assert f"## {name}" in text
        for column in schema.names:
            assert f"`{column}`" in text


def test_the_settings_of_the_service_are_documented():
    """docs/reference/settings.md has each one with its meaning."""
    text = (ROOT / "docs/reference/settings.md").read_text()
    for name, field in ServiceSettings.model_fields.items():
        assert f"| `OPENFORGE_{name.upper()}` |" in text
        assert f"| {field.description} |" in text


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.id)
def test_every_check_has_a_thin_notebook(check):
    """A notebook declares its parameters, has no logic of its own, and no outputs."""
    book = nbformat.read(ROOT / "notebooks" / "checks" / f"{check.id}.ipynb", as_version=4)
    assert runner.declared(book) == {"project_dir", "overrides"}
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert f'openforge.start("{check.id}"' in code[1].source
    assert len(code) <= 8
    for cell in code:
        assert not cell.outputs
        assert not any(word in cell.source for word in ("def ", "for ", "while ", "!"))
    assert "Does not claim" in book.cells[0].source


def test_every_check_says_what_it_proves():
    """docs/explanation/verdicts.md has a line for each check."""
    text = (ROOT / "docs/explanation/verdicts.md").read_text()
    for check in checks.CHECKS:
        assert f"| {check.id} |" in text


def test_the_readme_fits_one_screen():
    """The README stays short, and its links lead somewhere."""
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 60
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (ROOT / link).exists(), link
