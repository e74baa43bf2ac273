"""Detectors: what the watch sees in requests, in windows of them, and profiles of extraction. Pure; they see an Ask."""

from pathlib import Path

from gateway.detectors.features import FEATURES
from gateway.detectors.lens import Lens
from gateway.detectors.look import look
from gateway.detectors.past import Past
from gateway.detectors.profiles import EXPLAINS, judge
from gateway.detectors.weights import PROFILES, REASONS
from gateway.detectors.window import Window

PHRASES = tuple(sorted((Path(__file__).parent / "phrases").glob("*.yaml")))
"""The tripwire lists that come with the gateway, for `policy.read_phrases`."""

__all__ = ["EXPLAINS", "FEATURES", "PHRASES", "PROFILES", "REASONS", "Lens", "Past", "Window", "judge", "look"]
