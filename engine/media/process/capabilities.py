"""The encoders and filters that the compiler uses, and finding those that a binary lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["REQUIRED_ENCODERS", "REQUIRED_FILTERS", "TRIAL", "missing_capabilities"]

REQUIRED_ENCODERS = ("aac", "ffv1", "libx264", "pcm_f32le", "rawvideo")

REQUIRED_FILTERS = (
    "afade",
    "afftdn",
    "aformat",
    "alimiter",
    "anullsrc",
    "apad",
    "aresample",
    "asetpts",
    "asettb",
    "asplit",
    "atrim",
    "boxblur",
    "bwdif",
    "colorchannelmixer",
    "concat",
    "crop",
    "ebur128",
    "format",
    "hflip",
    "interleave",
    "overlay",
    "pad",
    "scale",
    "select",
    "setfield",
    "setpts",
    "setsar",
    "settb",
    "sidedata",
    "split",
    "tonemap",
    "tpad",
    "trim",
    "vflip",
    "volume",
    "zscale",
)

TRIAL = "-v error -f lavfi -i anullsrc=d=0.1 -f lavfi -i color=s=64x64:d=0.1 -c:v libx264 -c:a aac -f null -"
"""The arguments that encode a tenth of a second of black and silence and write nothing."""


def missing_capabilities(ask: Callable[[Sequence[str]], str]) -> list[str]:
    """Return the missing encoders and filters, such as `"encoder libx264"`.

    Parameters
    ----------
    ask
        Runs the binary with arguments and returns what it prints.
    """
    missing = []
    for kind, required in (("encoder", REQUIRED_ENCODERS), ("filter", REQUIRED_FILTERS)):
        # A line is `FLAGS NAME DESCRIPTION`.
        listed = {words[1] for line in ask([f"-{kind}s"]).splitlines() if len(words := line.split()) > 1}
        missing += [f"{kind} {name}" for name in required if name not in listed]
    return missing
