"""The rules of the optimiser, by what they are about: time or the frame."""

from tessera.media.algebra.rules.cuts import CUTS
from tessera.media.algebra.rules.frames import FRAMES
from tessera.media.algebra.rules.rule import Exactness, Rule

__all__ = ["CUTS", "FRAMES", "Exactness", "Rule"]
