"""Detectors: what the watch sees in requests, in windows of them, and profiles of extraction. Pure; they see an Ask."""

from pathlib import Path

from gateway.detectors.features import FEATURES
from gateway.detectors.history import Change, History
from gateway.detectors.history_told import SENTENCES as OF_CHANGES
from gateway.detectors.history_told import measured
from gateway.detectors.kinds import is_order
from gateway.detectors.lens import Lens
from gateway.detectors.link_clusters import Cluster
from gateway.detectors.link_reasons import SENTENCES
from gateway.detectors.links import Links
from gateway.detectors.look import look
from gateway.detectors.past import Past
from gateway.detectors.profiles import EXPLAINS, judge
from gateway.detectors.weights import PROFILES
from gateway.detectors.weights import REASONS as OF_PROFILES
from gateway.detectors.window import Window

PHRASES = tuple(sorted((Path(__file__).parent / "phrases").glob("*.yaml")))
"""The tripwire lists that come with the gateway, for `policy.read_phrases`."""

REASONS = {**OF_PROFILES, **SENTENCES, **OF_CHANGES}

__all__ = [
    "EXPLAINS",
    "FEATURES",
    "PHRASES",
    "PROFILES",
    "REASONS",
    "Change",
    "Cluster",
    "History",
    "Lens",
    "Links",
    "Past",
    "Window",
    "is_order",
    "judge",
    "look",
    "measured",
]
