"""Stubs: what a tile is made to make, answer or suffer, in place of its own work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tessera.agent import read_json
from tessera.errors import Fault, RequestError, TesseraError, pointer
from tessera.graph.model import Tile
from tessera.graph.plan import Plan
from tessera.inputs.assets.asset import Asset
from tessera.inputs.local import meant
from tessera.inputs.resolve import video_of
from tessera.media.algebra.expression import Image, Picture, Sound, even
from tessera.media.algebra.item import Audio, Item, Value, Video
from tessera.media.algebra.time import ms, parse_rate
from tessera.node import Kind, Made
from tessera.text.nearest import suggestion
from tessera.validation import faults_of

__all__ = ["Attempt", "Stub", "StubAnswers", "StubMade", "StubbedTile", "find_tile", "read_stubs"]

_Milliseconds = Annotated[int, Field(gt=0, strict=True)]
_Side = Annotated[int, Field(ge=2, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class StubMade(_Part):
    """One item that a stubbed tile makes.

    Members that are not given are those of the incoming item; with none given the incoming item itself is
    handed on. `file`: real media to make it of; needed in a run, unless the incoming item is handed on.
    """

    file: str | None = None
    duration_ms: _Milliseconds | None = None
    width: _Side | None = None
    height: _Side | None = None
    fps: Annotated[Fraction, BeforeValidator(parse_rate)] | None = None
    has_audio: bool | None = None

    def hands_on(self) -> bool:
        """Whether nothing is stated, so that the incoming item is handed on."""
        return not self.model_fields_set


class StubAnswers(_Part):
    """What the tile is told of content: speech, in ms on the video that it asks about, and levels."""

    speech: tuple[tuple[int, int], ...] | None = None
    levels_dbfs: tuple[float, ...] | None = None


class Attempt(_Part):
    """What happens in one attempt. `fault`: `error` fails, `transient` fails and is tried again, `hang` never
    ends.
    """

    fault: Literal["error", "transient", "hang"] | None = None
    message: str = ""
    makes: tuple[StubMade, ...] | None = None
    answers: StubAnswers | None = None


class Stub(Attempt):
    """A stub for one tile. `attempts` script the first attempts, in order; what stands beside them holds
    after.
    """

    attempts: tuple[Attempt, ...] = ()

    def attempt(self, number: int) -> Attempt:
        """What happens in this attempt, counted from 1."""
        return self.attempts[number - 1] if number <= len(self.attempts) else self

    def every(self) -> tuple[Attempt, ...]:
        return (*self.attempts, self)


def find_tile(plan: Plan, text: str, loc: str) -> Tile:
    """The tile of a plan that an id, a unique beginning of one, or a unique name means.

    Parameters
    ----------
    loc
        Where it is named: a JSON pointer into the request, `""` where an option does.

    Raises
    ------
    RequestError
        None, or more than one.
    """
    tiles = [plan.tile(node) for node in plan.order]
    found = meant(tiles, text)
    if len(found) == 1:
        return found[0]
    if found:
        what = f"{text!r} could mean {len(found)} tiles: {', '.join(tile.id for tile in found[:6])}"
    else:
        names = [tile.name for tile in tiles] + [tile.id for tile in tiles]
        what = f"no tile {text!r} runs{suggestion(text, names)}"
    raise RequestError([Fault(loc, "request", what)])


def read_stubs(source: Any, plan: Plan, store: Callable[[Path], Asset] | None) -> dict[str, StubbedTile]:
    """Stubs by node, read and checked against the plan.

    Parameters
    ----------
    source
        `{node: stub}`, each stub a dict, JSON text or a path; None is none.
    store
        Makes an asset of a file; None in a simulation, which needs no files.

    Raises
    ------
    RequestError
        Every fault: an unknown tile, a wrong shape, a kind that the tile does not make, a missing file.
    """
    found: dict[str, StubbedTile] = {}
    faults: list[Fault] = []
    for name, given in (source or {}).items():
        try:
            tile = find_tile(plan, name, pointer("stubs", name))
            raw = (
                given.model_dump(exclude_unset=True)
                if isinstance(given, Stub)
                else read_json(given, "request")
            )
            stub = Stub.model_validate(raw)
            found[tile.id] = StubbedTile(tile, stub, _files(name, stub, store))
            faults += _problems(name, tile, stub, running=store is not None)
        except ValidationError as error:
            base = ("stubs", name)
            faults += [
                fault
                for _p, fault in faults_of(error, raw, "request", base=base, known=tuple(Stub.model_fields))
            ]
        except RequestError as error:
            faults += error.errors
    if faults:
        raise RequestError(faults)
    return found


def _files(name: str, stub: Stub, store: Callable[[Path], Asset] | None) -> dict[str, Asset]:
    assets: dict[str, Asset] = {}
    if store is None:
        return assets
    for attempt in stub.every():
        for made in attempt.makes or ():
            if made.file is None:
                continue
            try:
                assets[made.file] = store(Path(made.file))
            except TesseraError as error:
                raise RequestError([Fault(pointer("stubs", name, "makes"), "request", str(error))]) from None
    return assets


def _problems(name: str, tile: Tile, stub: Stub, *, running: bool) -> list[Fault]:
    """What the shape alone does not tell."""
    faults = []
    for attempt in stub.every():
        if attempt.makes is None:
            continue
        loc = pointer("stubs", name, "makes")
        if tile.type.produces is None:
            faults.append(Fault(loc, "request", f"{tile.name} {tile.id} is an output tile: it makes nothing"))
        elif running and any(made.file is None and not made.hands_on() for made in attempt.makes):
            what = f"{tile.name} {tile.id}: in a run, what a stub makes needs a 'file'"
            faults.append(Fault(loc, "request", what))
    return faults


class StubbedTile:
    """A stub with the files that it names, for one tile of a plan."""

    def __init__(self, tile: Tile, stub: Stub, files: Mapping[str, Asset]) -> None:
        self.tile, self.stub, self.files = tile, stub, files

    def replaces_work(self) -> bool:
        """Whether the tile's own code is not needed once the scripted attempts are over."""
        return self.stub.makes is not None

    def make(self, attempt: Attempt, inputs: Sequence[Item]) -> list[Made]:
        """What the tile makes now: for each incoming item, or once where it combines or has none."""
        assert attempt.makes is not None
        kind = self.tile.type
        once = kind.combines or kind.optional_input or not inputs
        groups = [tuple(inputs)] if once else [(item,) for item in inputs]
        return [
            Made(self._value(made, group), group, "stubbed", "stubbed")
            for group in groups
            for made in attempt.makes
        ]

    def _value(self, made: StubMade, parents: tuple[Item, ...]) -> Value:
        before = parents[0].value if parents else None
        if made.hands_on() and before is not None:
            return before
        if made.file is not None and made.file in self.files:
            return self._real(self.files[made.file])
        match self.tile.type.produces:
            case Kind.IMAGE:
                return Image.source(self._key(made), width=made.width or 1024, height=made.height or 1024)
            case Kind.AUDIO:
                return Audio(Sound.silence(ms(made.duration_ms or 10_000)))
            case _:
                return self._video(made, before)

    def _key(self, made: StubMade) -> str:
        return f"stub:{self.tile.id}:{made.model_dump_json(exclude_unset=True)}"

    def _video(self, made: StubMade, before: Value | None) -> Video:
        """A video of which only the description is known."""
        like = before if isinstance(before, Video) else None
        seconds = ms(made.duration_ms) if made.duration_ms else like.duration if like else Fraction(10)
        width = made.width or (like.picture.width if like else 1280)
        height = made.height or (like.picture.height if like else 720)
        rate = made.fps or (like.picture.rate if like else Fraction(30))
        has_audio = made.has_audio if made.has_audio is not None else like is None or like.sound is not None
        picture = Picture.source(
            self._key(made), width=even(width), height=even(height), rate=rate, duration=seconds
        )
        return Video(picture, Sound.silence(seconds) if has_audio else None)

    def _real(self, asset: Asset) -> Value:
        """Media from a file, of the kind that the tile makes."""
        info, wanted = asset.info, self.tile.type.produces
        if wanted is Kind.VIDEO and info.kind == "video":
            return video_of(asset.id, info)
        if wanted is Kind.IMAGE and info.kind == "image" and info.picture is not None:
            return Image.source(asset.id, width=info.picture.width, height=info.picture.height)
        if wanted is Kind.AUDIO and info.kind == "audio" and info.sound is not None:
            channels = info.sound.channels if info.sound.channels in (1, 2, 6) else 2
            return Audio(Sound.source(asset.id, rate=48_000, channels=channels, duration=info.sound.duration))
        raise RequestError(
            [
                Fault(
                    pointer("stubs", self.tile.id),
                    "request",
                    f"{asset.name} is {info.kind}; {self.tile.name} makes {wanted}",
                )
            ]
        )
