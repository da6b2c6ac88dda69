"""Stubs: prescribed items, answers or faults of a tile, in place of its own work."""

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
from tessera.inputs.local import matching_tiles
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


class _StubModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class StubMade(_StubModel):
    """One item that a stubbed tile makes.

    Missing members are those of the incoming item; without any member the incoming item itself is passed
    through. `file` names real media for the item; a run needs it, unless the item is passed through.
    """

    file: str | None = None
    duration_ms: _Milliseconds | None = None
    width: _Side | None = None
    height: _Side | None = None
    fps: Annotated[Fraction, BeforeValidator(parse_rate)] | None = None
    has_audio: bool | None = None

    def passes_through(self) -> bool:
        """Return True if no member is stated, so that the incoming item is passed through."""
        return not self.model_fields_set


class StubAnswers(_StubModel):
    """Answers about content: speech, in ms of the video in question, and levels."""

    speech: tuple[tuple[int, int], ...] | None = None
    levels_dbfs: tuple[float, ...] | None = None


class Attempt(_StubModel):
    """The outcome of one attempt. `fault`: `error` fails, `transient` fails and is retried, `hang` never
    ends.
    """

    fault: Literal["error", "transient", "hang"] | None = None
    message: str = ""
    makes: tuple[StubMade, ...] | None = None
    answers: StubAnswers | None = None


class Stub(Attempt):
    """A stub for one tile. `attempts` script the first attempts, in order; the other members apply to all
    later ones.
    """

    attempts: tuple[Attempt, ...] = ()

    def attempt(self, number: int) -> Attempt:
        """Return the outcome of an attempt, counted from 1."""
        return self.attempts[number - 1] if number <= len(self.attempts) else self

    def all_attempts(self) -> tuple[Attempt, ...]:
        return (*self.attempts, self)


def find_tile(plan: Plan, text: str, loc: str) -> Tile:
    """Return the tile of a plan with this id, unique id prefix or unique name.

    Parameters
    ----------
    loc
        The JSON pointer into the request that names the tile, or `""` for an option.

    Raises
    ------
    RequestError
        If no tile matches, or several do.
    """
    tiles = [plan.tile(node) for node in plan.order]
    found = matching_tiles(tiles, text)
    if len(found) == 1:
        return found[0]
    if found:
        message = f"{text!r} could mean {len(found)} tiles: {', '.join(tile.id for tile in found[:6])}"
    else:
        names = [tile.name for tile in tiles] + [tile.id for tile in tiles]
        message = f"the plan has no tile {text!r}{suggestion(text, names)}"
    raise RequestError([Fault(loc, "request", message)])


def read_stubs(source: Any, plan: Plan, store: Callable[[Path], Asset] | None) -> dict[str, StubbedTile]:
    """Read stubs by node, and check them against the plan.

    Parameters
    ----------
    source
        `{node: stub}`, each stub a dict, JSON text or a path, or None for no stubs.
    store
        Stores a file as an asset. None in a simulation, which needs no files.

    Raises
    ------
    RequestError
        If there is an unknown tile, a wrong shape, a kind that the tile does not make, or a missing file:
        with all faults.
    """
    found: dict[str, StubbedTile] = {}
    faults: list[Fault] = []
    for name, document in (source or {}).items():
        try:
            tile = find_tile(plan, name, pointer("stubs", name))
            raw = (
                document.model_dump(exclude_unset=True)
                if isinstance(document, Stub)
                else read_json(document, "request")
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
    for attempt in stub.all_attempts():
        for made in attempt.makes or ():
            if made.file is None:
                continue
            try:
                assets[made.file] = store(Path(made.file))
            except TesseraError as error:
                raise RequestError([Fault(pointer("stubs", name, "makes"), "request", str(error))]) from None
    return assets


def _problems(name: str, tile: Tile, stub: Stub, *, running: bool) -> list[Fault]:
    """Return the faults of a stub that depend on its tile."""
    faults = []
    for attempt in stub.all_attempts():
        if attempt.makes is None:
            continue
        loc = pointer("stubs", name, "makes")
        if tile.type.produces is None:
            message = f"{tile.name} {tile.id} is an output tile: it makes no items"
            faults.append(Fault(loc, "request", message))
        elif running and any(made.file is None and not made.passes_through() for made in attempt.makes):
            message = f"{tile.name} {tile.id}: in a run, an item of a stub needs a 'file'"
            faults.append(Fault(loc, "request", message))
    return faults


class StubbedTile:
    """A stub with the files that it names, for one tile of a plan."""

    def __init__(self, tile: Tile, stub: Stub, files: Mapping[str, Asset]) -> None:
        self.tile, self.stub, self.files = tile, stub, files

    def replaces_work(self) -> bool:
        """Return True if the tile's own code is not needed after the scripted attempts."""
        return self.stub.makes is not None

    def make(self, attempt: Attempt, inputs: Sequence[Item]) -> list[Made]:
        """Return the items of an attempt: for each incoming item, or once if the tile combines items or
        has none.
        """
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
        if made.passes_through() and before is not None:
            return before
        if made.file is not None and made.file in self.files:
            return self._from_asset(self.files[made.file])
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
        """Return a video of which only the description is known."""
        model = before if isinstance(before, Video) else None
        seconds = ms(made.duration_ms) if made.duration_ms else model.duration if model else Fraction(10)
        width = made.width or (model.picture.width if model else 1280)
        height = made.height or (model.picture.height if model else 720)
        rate = made.fps or (model.picture.rate if model else Fraction(30))
        has_audio = made.has_audio if made.has_audio is not None else model is None or model.sound is not None
        picture = Picture.source(
            self._key(made), width=even(width), height=even(height), rate=rate, duration=seconds
        )
        return Video(picture, Sound.silence(seconds) if has_audio else None)

    def _from_asset(self, asset: Asset) -> Value:
        """Return media from a file, of the kind that the tile makes."""
        info, wanted = asset.info, self.tile.type.produces
        if wanted is Kind.VIDEO and info.kind == "video":
            return video_of(asset.id, info)
        if wanted is Kind.IMAGE and info.kind == "image" and info.picture is not None:
            return Image.source(asset.id, width=info.picture.width, height=info.picture.height)
        if wanted is Kind.AUDIO and info.kind == "audio" and info.sound is not None:
            # Mono, stereo and 5.1 keep their layout; any other one becomes stereo.
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
