"""The rules of the optimiser, by what they are about: time or the frame."""

from engine.media.rules.cuts import CUTS
from engine.media.rules.frames import FRAMES
from engine.media.rules.rule import Exactness, Rule

__all__ = ["CUTS", "FRAMES", "Exactness", "Rule"]
