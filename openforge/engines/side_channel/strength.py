"""How strong the tests of power are: the largest t, its thresholds, what would be found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from openforge.analysis import detection, multiplicity
from openforge.engines.side_channel import gathering
from openforge.schema_crypto import SideChannelSection

if TYPE_CHECKING:
    from openforge.engines.side_channel.checking import Looked


def largest_t(looked: Looked) -> float:
    """The largest |t| of all cycles, orders and campaigns."""
    return max(float(np.abs(found.t.t).max(initial=0.0)) for found in looked.assessed)


def corrected_threshold(params: SideChannelSection, looked: Looked) -> float:
    """What |t| of one of the tests of power must exceed, all tests together having one level."""
    share = multiplicity.level_of(params.tvla_threshold) / len(looked.families)
    return multiplicity.corrected_threshold(share, looked.families["power"].n_tests)


def smallest_effect(params: SideChannelSection, looked: Looked) -> float:
    """The difference of means, in standard deviations, that is found in 9 of 10 cases."""
    threshold = corrected_threshold(params, looked)
    sizes = [gathering.class_sizes(found.power) for found in looked.assessed]
    return max(detection.smallest_effect(*size, threshold) for size in sizes)
