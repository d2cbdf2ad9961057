"""The schema documents itself, and the page that is made of it is current."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from openforge import config

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def generate():
    """The script that writes the reference."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_field_is_described(generate):
    """Each field of each section says what it means."""
    silent = [
        f"{path}.{name}"
        for path, model in generate.sections(config.Config)
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert silent == []


def test_every_section_is_frozen_and_closed(generate):
    """No section takes unknown fields or changes after loading."""
    for _, model in generate.sections(config.Config):
        assert model.model_config["frozen"]
        assert model.model_config["extra"] == "forbid"


def test_reference_is_current(generate):
    """The page in the repository is what `python docs/generate.py` writes."""
    page = (DOCS / "reference" / "openforge-yaml.md").read_text(encoding="utf-8")
    assert page == generate.config_reference_markdown()


def test_json_schema_is_json():
    """`openforge config schema` prints a schema that names the required sections."""
    schema = json.loads(json.dumps(config.json_schema()))
    assert schema["required"] == ["project", "design"]


def test_import_stays_light():
    """Loading a project file does not load the numeric libraries."""
    code = (
        "import sys, openforge.config; "
        "sys.exit(bool({'numpy', 'pandas', 'pyslang', 'duckdb'} & set(sys.modules)))"
    )
    root = str(DOCS.parent)
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
