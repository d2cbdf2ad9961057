"""Simulated traces as an artifact, for other tools and for later."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from openforge.analysis.stimulus import LANES, classes_of
from openforge.engines.side_channel import gathering
from openforge.engines.side_channel.assessing import Assessed
from openforge.engines.side_channel.subject import Subject
from openforge.run_folder import RunFolder
from openforge.schema_crypto import SideChannelSection

STORE = "traces.zarr.zip"
_CHUNK = 64  # batches that are written at a time


def store(
    params: SideChannelSection, found: Assessed, subject: Subject, folder: RunFolder
) -> str | None:
    """Write the first traces of a campaign, without noise; the artifact's name, None if unasked."""
    if not params.store_traces:
        return None
    from openforge.trace_store import Writer  # what it needs takes time to import

    run = found.simulation
    n_traces = min(params.store_traces, found.n_traces)
    attributes = {
        "model": params.power_model,
        "unit": "toggles" if params.power_model == "toggle_count" else "nets",
        "campaign": found.campaign.name,
        "seed": params.seed,
        "key": f"{found.campaign.key:016x}",
        "design_hash": subject.design.content_hash,
    }
    with Writer(folder.work / STORE, attributes=attributes) as writer:
        for first in range(0, gathering.batches_of(n_traces), _CHUNK):
            count = min(_CHUNK, gathering.batches_of(n_traces) - first)
            left = n_traces - first * LANES
            traces = run.power(first, count)[:left]
            labels = classes_of(run.key, first, count, run.stimulus.n_slots)[:left]
            writer.append(_narrow(traces, run.tape.n_counted), labels.astype(np.uint8))
    folder.keep(folder.work / STORE, STORE)
    return STORE


def _narrow(traces: NDArray[np.uint32], most: int) -> NDArray[Any]:
    """Traces in a type that the store knows: 16 bits where all values fit."""
    return traces.astype(np.uint16) if most < 1 << 16 else traces.astype(np.float32)
