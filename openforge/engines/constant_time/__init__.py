"""Constant time: proved for all time, a leak that was replayed, or bounded; nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openforge.design import Design
    from openforge.model import Result
    from openforge.run_folder import RunFolder
    from openforge.schema_crypto import ConstantTimeSection


def run(params: ConstantTimeSection, design: Design, folder: RunFolder) -> Result:
    """Whether secrets can change when something observable happens; see `checking.run`."""
    # Steps are processes of their own, which start faster without what only the check needs.
    from openforge.engines.constant_time import checking

    return checking.run(params, design, folder)
