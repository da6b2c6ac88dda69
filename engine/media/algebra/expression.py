"""Media expressions: immutable values that say how a picture, a sound or an image is made, exactly.

An expression is a node of a DAG: an operation, its arguments, and the expressions that it works on. Equal
expressions are one object (interned by digest), so a digest is a cache key and `is` is equality. Size, rate,
duration and kept source ranges are known when a node is built. Nothing here recurses over depth.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from hashlib import blake2b
from typing import Any, ClassVar, Self
from weakref import WeakValueDictionary

from tessera.media.algebra.ranges import NO_SOURCE, SourceRange, checked_ranges, cut_sources
from tessera.media.algebra.time import Range

__all__ = [
    "NO_SOURCE",
    "Expr",
    "Image",
    "Picture",
    "Sound",
    "SourceRange",
    "dump",
    "dump_node",
    "even",
    "load",
    "walk",
]

Args = tuple[tuple[str, Any], ...]
_interned: WeakValueDictionary[str, Expr] = WeakValueDictionary()
_lock = threading.Lock()
_NO_TAGS: frozenset[str] = frozenset()


def even(number: int) -> int:
    """The greatest even number that is not greater."""
    return number - number % 2


def _digest(*what: Any) -> str:
    return blake2b(repr(what).encode(), digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    raise TypeError(f"{value!r} cannot be part of an expression")


class Expr:
    """A node of an expression. Make them with the constructors of the subclasses, never directly."""

    __slots__ = ("__weakref__", "args", "digest", "inputs", "kept", "op", "tags")

    medium: ClassVar[str]
    op: str
    args: Args
    inputs: tuple[Expr, ...]
    digest: str
    kept: tuple[SourceRange, ...]
    tags: frozenset[str]

    @classmethod
    def _make(cls, op: str, inputs: tuple[Expr, ...], facts: Mapping[str, Any], **args: Any) -> Self:
        """The one object with this operation, inputs and arguments; `facts` are its derived attributes."""
        pairs = tuple(args.items())
        digest = _digest(cls.medium, op, pairs, [one.digest for one in inputs])
        known = _interned.get(digest)
        if known is not None:
            return known  # type: ignore[return-value]
        node = object.__new__(cls)
        fill = object.__setattr__
        fill(node, "op", op)
        fill(node, "args", pairs)
        fill(node, "inputs", inputs)
        fill(node, "digest", digest)
        first = inputs[0] if inputs else None
        fill(node, "kept", first.kept if first else ())
        fill(node, "tags", first.tags if first else _NO_TAGS)
        for name, value in facts.items():
            fill(node, name, value)
        with _lock:
            return _interned.setdefault(digest, node)  # type: ignore[return-value]

    def __setattr__(self, name: str, _value: Any) -> None:
        raise AttributeError(f"expressions are immutable; cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"expressions are immutable; cannot delete {name!r}")

    def __reduce__(self) -> Any:
        return (load, (dump(self),))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: Any) -> Self:
        return self

    def arg(self, name: str) -> Any:
        """An argument of the operation.

        Raises
        ------
        KeyError
            The operation has no such argument.
        """
        for key, value in self.args:
            if key == name:
                return value
        raise KeyError(name)

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value}" for key, value in self.args)
        return f"<{self.medium} {self.op}({shown}) of {len(self.inputs)}, {self.digest[:8]}>"


class _Timed(Expr):
    """What has a duration: pictures and sounds.

    `clock` is a digest of the times of its frames: equal ones have their frames at the same times.
    """

    __slots__ = ("clock", "duration")
    duration: Fraction
    clock: str

    def _stream(self) -> dict[str, Any]:
        """The facts that a cut leaves as they are."""
        raise NotImplementedError

    def keep(self, ranges: Iterable[Range]) -> Self:
        """The frames (samples) whose time t satisfies start ≤ t < end of each range, ranges one after
        another.

        Parameters
        ----------
        ranges
            In seconds on this expression's timeline, each within [0, duration].

        Raises
        ------
        ValueError
            A range is empty or reaches outside, or there is none.
        """
        checked = checked_ranges(ranges, self.duration)
        if checked == ((Fraction(0), self.duration),):
            return self
        return self._make(
            "keep",
            (self,),
            {
                **self._stream(),
                "duration": sum((end - start for start, end in checked), Fraction(0)),
                "kept": cut_sources(self.kept, checked),
                "clock": _digest(self.clock, checked),
            },
            ranges=checked,
        )

    def then(self, *others: Self) -> Self:
        """This and then the others, one after another; sizes (rates and channels of sound) must be equal."""
        parts = (self, *others)
        if len(parts) == 1:
            return self
        stream = self._stream()
        for part in others:
            if any(
                part._stream()[name] != stream[name]
                for name in stream
                if name != "rate" or self.medium == "sound"
            ):
                raise ValueError(
                    "only parts of one size (sounds of one rate and channel count) can be joined"
                )
        facts = {
            **stream,
            "duration": sum((part.duration for part in parts), Fraction(0)),
            "clock": _digest(*(part.clock for part in parts)),
            "kept": tuple(piece for part in parts for piece in part.kept),
            "tags": frozenset().union(*(part.tags for part in parts)),
        }
        return self._make("concat", parts, facts)


class Picture(_Timed):
    """Moving pictures: `width` × `height` square pixels, `rate` frames/s (nominal), `duration` s."""

    __slots__ = ("height", "rate", "width")
    medium = "picture"
    width: int
    height: int
    rate: Fraction

    def _stream(self) -> dict[str, Any]:
        return {"width": self.width, "height": self.height, "rate": self.rate}

    def _same(self) -> dict[str, Any]:
        return {**self._stream(), "duration": self.duration, "clock": self.clock}

    @classmethod
    def source(cls, asset: str, *, width: int, height: int, rate: Fraction, duration: Fraction) -> Picture:
        """The picture of an asset, in its size as it is to be seen; t = 0 is its first frame."""
        if min(width, height) < 1 or rate <= 0 or duration <= 0:
            raise ValueError(f"not a picture: {width}×{height}, {rate} frames/s, {duration} s")
        facts = {
            "width": width,
            "height": height,
            "rate": rate,
            "duration": duration,
            "kept": (SourceRange((asset, Fraction(0), duration)),),
            "clock": _digest(asset, duration),
        }
        return cls._make(
            "source", (), facts, asset=asset, width=width, height=height, rate=rate, duration=duration
        )

    def crop(self, x: int, y: int, width: int, height: int) -> Picture:
        """The part of `width` × `height` pixels (even) whose top left corner is (x, y)."""
        if not (x >= 0 and y >= 0 and x + width <= self.width and y + height <= self.height):
            raise ValueError(
                f"crop {width}×{height} at ({x}, {y}) reaches outside {self.width}×{self.height}"
            )
        _checked_size(width, height)
        if (width, height) == (self.width, self.height):
            return self
        facts = {**self._same(), "width": width, "height": height}
        return self._make("crop", (self,), facts, x=x, y=y, width=width, height=height)

    def scale(self, width: int, height: int) -> Picture:
        """Resampled to `width` × `height` pixels (even)."""
        _checked_size(width, height)
        if (width, height) == (self.width, self.height):
            return self
        facts = {**self._same(), "width": width, "height": height}
        return self._make("scale", (self,), facts, width=width, height=height)

    def flip(self, *, horizontal: bool = False, vertical: bool = False) -> Picture:
        """Mirrored left to right, top to bottom, or both."""
        if not (horizontal or vertical):
            return self
        return self._make("flip", (self,), self._same(), horizontal=horizontal, vertical=vertical)

    def blur(self, radius: int) -> Picture:
        """Blurred with a box of 2·radius + 1 pixels, twice."""
        if radius < 1:
            return self
        return self._make("blur", (self,), self._same(), radius=radius)

    def overlay(
        self, layer: Picture | Image, x: int, y: int, *, opacity: Fraction = Fraction(1), tag: str = ""
    ) -> Picture:
        """With `layer` over it, its top left corner at (x, y); `opacity` 0–1 scales the layer's alpha.

        `tag` names the layer, so that `without(tag)` can take it away again.
        """
        facts = {**self._same(), "tags": self.tags | {tag} if tag else self.tags}
        return self._make("overlay", (self, layer), facts, x=x, y=y, opacity=opacity, tag=tag)

    def without(self, tag: str) -> Picture:
        """The same expression without the overlays of this tag. Costs what lies above the lowest of them."""
        if tag not in self.tags:
            return self
        rebuilt: dict[Expr, Expr] = {}
        for node in walk(self, prune=lambda one: tag not in one.tags):
            if tag not in node.tags:
                rebuilt[node] = node
            elif node.op == "overlay" and node.arg("tag") == tag:
                rebuilt[node] = rebuilt[node.inputs[0]]
            else:
                rebuilt[node] = rebuild(node, tuple(rebuilt[one] for one in node.inputs))
        result = rebuilt[self]
        assert isinstance(result, Picture)
        return result


def _checked_size(width: int, height: int) -> None:
    if min(width, height) < 2 or width % 2 or height % 2:
        raise ValueError(f"sizes must be even and at least 2: {width}×{height}")


class Sound(_Timed):
    """Sound: `rate` samples/s, `channels`, `duration` s."""

    __slots__ = ("channels", "rate")
    medium = "sound"
    rate: int
    channels: int

    def _stream(self) -> dict[str, Any]:
        return {"rate": self.rate, "channels": self.channels}

    @classmethod
    def source(cls, asset: str, *, rate: int, channels: int, duration: Fraction) -> Sound:
        """The sound of an asset on the timeline of its picture: from its first frame on, silence where there
        is none.
        """
        if rate <= 0 or channels <= 0 or duration <= 0:
            raise ValueError(f"not a sound: {rate} samples/s, {channels} channels, {duration} s")
        facts = {
            "rate": rate,
            "channels": channels,
            "duration": duration,
            "kept": (SourceRange((asset, Fraction(0), duration)),),
            "clock": _digest(asset, duration),
        }
        return cls._make("source", (), facts, asset=asset, rate=rate, channels=channels, duration=duration)

    @classmethod
    def silence(cls, duration: Fraction, *, rate: int = 48_000, channels: int = 2) -> Sound:
        """Silence; in `kept` it stands as a range of `NO_SOURCE`, so that what follows keeps its place."""
        kept = (SourceRange((NO_SOURCE, Fraction(0), duration)),)
        clock = _digest("silence", duration)
        facts = {"rate": rate, "channels": channels, "duration": duration, "kept": kept, "clock": clock}
        return cls._make("silence", (), facts, rate=rate, channels=channels, duration=duration)

    def _same(self) -> dict[str, Any]:
        return {**self._stream(), "duration": self.duration, "clock": self.clock}

    def denoise(self) -> Sound:
        """With steady background noise reduced."""
        return self._make("denoise", (self,), self._same())

    def loudness(self, lufs: Fraction, peak: Fraction) -> Sound:
        """Brought to an integrated loudness (LUFS, ITU-R BS.1770) with true peaks of at most `peak` dBTP."""
        return self._make("loudness", (self,), self._same(), lufs=lufs, peak=peak)


class Image(Expr):
    """A still image: `width` × `height` pixels, with alpha."""

    __slots__ = ("height", "width")
    medium = "image"
    width: int
    height: int

    @classmethod
    def source(cls, asset: str, *, width: int, height: int) -> Image:
        """An image asset."""
        return cls._make(
            "source", (), {"width": width, "height": height}, asset=asset, width=width, height=height
        )

    @classmethod
    def drawn(cls, type_id: str, painter: str, *, width: int, height: int, **args: Any) -> Image:
        """A picture that a tile's own code draws: `NodeType.painters[painter]` of the type, called with
        `args`.
        """
        facts = {"width": width, "height": height}
        return cls._make(
            "drawn",
            (),
            facts,
            type_id=type_id,
            painter=painter,
            width=width,
            height=height,
            values=tuple(args.items()),
        )

    def scale(self, width: int, height: int) -> Image:
        """Resampled to `width` × `height` pixels."""
        if (width, height) == (self.width, self.height):
            return self
        return self._make("scale", (self,), {"width": width, "height": height}, width=width, height=height)


def walk(*roots: Expr, prune: Any = None) -> Iterator[Expr]:
    """Every node of the expressions once, inputs before what uses them. `prune(node)`: do not go below it."""
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, entered = stack.pop()
        if entered:
            yield node
            continue
        if node in seen:
            continue
        seen.add(node)
        stack.append((node, True))
        if prune is None or not prune(node):
            stack.extend((one, False) for one in reversed(node.inputs) if one not in seen)


def rebuild(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """The same operation with the same arguments on other inputs; `node` itself where they are the same."""
    if inputs == node.inputs:
        return node
    args = dict(node.args)
    match node.medium, node.op:
        case _, "keep":
            return inputs[0].keep(args["ranges"])  # type: ignore[attr-defined, no-any-return]
        case _, "concat":
            return inputs[0].then(*inputs[1:])  # type: ignore[attr-defined, no-any-return]
        case "picture", "overlay":
            layer = inputs[1]
            return inputs[0].overlay(layer, **args)  # type: ignore[attr-defined, no-any-return]
        case _, op:
            return getattr(inputs[0], op)(**args)  # type: ignore[no-any-return]


_MEDIA: Mapping[str, type[Expr]] = {"picture": Picture, "sound": Sound, "image": Image}


def dump(*roots: Expr) -> list[dict[str, Any]]:
    """Expressions as a flat list of JSON values, inputs before what uses them; the roots come last, by
    number.
    """
    place: dict[Expr, int] = {}
    out: list[dict[str, Any]] = []
    for node in walk(*roots):
        place[node] = len(out)
        out.append({**dump_node(node), "in": [place[one] for one in node.inputs]})
    out.append({"roots": [place[root] for root in roots]})
    return out


def dump_node(node: Expr) -> dict[str, Any]:
    """One node as JSON values, without what it works on."""
    args = json.loads(json.dumps(dict(node.args), default=_plain))
    return {"medium": node.medium, "op": node.op, "args": args}


_FRACTIONS = frozenset({"duration", "opacity", "lufs", "peak"})


def _read_args(medium: str, args: Mapping[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {
        name: Fraction(value) if name in _FRACTIONS else value for name, value in args.items()
    }
    if medium == "picture" and "rate" in read:
        read["rate"] = Fraction(read["rate"])
    if "ranges" in read:
        read["ranges"] = tuple((Fraction(start), Fraction(end)) for start, end in read["ranges"])
    return read


def load(flat: Sequence[Mapping[str, Any]]) -> Any:
    """Read `dump` back: one expression, or a tuple of them where several were dumped."""
    nodes: list[Expr] = []
    for one in flat[:-1]:
        cls = _MEDIA[one["medium"]]
        args = _read_args(one["medium"], one["args"])
        inputs = tuple(nodes[index] for index in one["in"])
        if inputs:
            nodes.append(_apply(one["op"], inputs, args))
        elif one["op"] == "drawn":
            values = dict(args.pop("values"))
            nodes.append(Image.drawn(**args, **values))
        else:
            nodes.append(getattr(cls, one["op"])(**args))
    roots = tuple(nodes[index] for index in flat[-1]["roots"])
    return roots[0] if len(roots) == 1 else roots


def _apply(op: str, inputs: tuple[Expr, ...], args: Mapping[str, Any]) -> Expr:
    if op == "concat":
        return inputs[0].then(*inputs[1:])  # type: ignore[attr-defined, no-any-return]
    return getattr(inputs[0], op)(*inputs[1:], **args)  # type: ignore[no-any-return]
