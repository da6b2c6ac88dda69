"""The rewriting rules of the optimiser.

Modules, in the order in which to read them:

- `rule`: the type of a rule, and the decorators that create one.
- `cuts`: rules about time, which move cuts to the sources.
- `frames`: rules about the frame, which remove pixels and operations.
"""

from tessera.media.algebra.rules.cuts import CUTS
from tessera.media.algebra.rules.frames import FRAMES
from tessera.media.algebra.rules.rule import Exactness, Rule

__all__ = ["CUTS", "FRAMES", "Exactness", "Rule"]
