"""The designs of the interface tests, each elaborated once."""

import functools
import tempfile
from pathlib import Path

from openforge import design, netlist
from openforge.config import Config
from openforge.interface import resolve
from openforge.schema_crypto import InterfaceSection

FOLDER = Path(__file__).parent / "designs" / "interface"


@functools.cache
def loaded(top, source="core.sv"):
    """The design `top` and its graph."""
    config = Config.model_validate(
        {"project": {"name": "p", "top_module": top}, "design": {"sources": [source]}}
    )
    found = design.load(FOLDER, config)
    with tempfile.TemporaryDirectory() as work:
        return found, netlist.graph(found, Path(work))


def interface(section=None, top="core", source="core.sv"):
    """The resolved interface of `top` with the annotation `section`."""
    return resolve(*loaded(top, source), InterfaceSection.model_validate(section or {}))
