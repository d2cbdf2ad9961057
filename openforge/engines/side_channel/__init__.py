"""Side channel: power simulated from every net of the netlist, and what it says of secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openforge.design import Design
    from openforge.model import Result
    from openforge.run_folder import RunFolder
    from openforge.schema_crypto import SideChannelSection


def run(params: SideChannelSection, design: Design, folder: RunFolder) -> Result:
    """Whether power depends on secrets; see `checking`."""
    from openforge.engines.side_channel.checking import run as check  # numbers take time to import

    return check(params, design, folder)
