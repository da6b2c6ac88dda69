"""Media expressions: immutable values that describe exactly how to make a picture, a sound or an image.

An expression is a node of a DAG: an operation, its arguments, and its input expressions. Equal expressions
are one object, so `is` is equality. Their digest is a cache key, the same in every process. Size, rate,
duration and kept source ranges are computed when a node is built, the digest when it is first asked for. No
function here recurses over depth, because a chain may be thousands of nodes long.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from hashlib import blake2b
from typing import Any, ClassVar, Self
from weakref import ref

from tessera.media.algebra.ranges import NO_SOURCE, SourceRange, checked_ranges, cut_sources
from tessera.media.algebra.time import Range, total
from tessera.text.wording import count

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
Key = tuple[Any, ...]
_interned: dict[Key, _Entry] = {}
# Reentrant, since a node may be collected, and its entry deleted, while its thread adds another one.
_lock = threading.RLock()
_NO_TAGS: frozenset[str] = frozenset()


class _Entry(ref["Expr"]):
    """A weak reference to an interned node, which is forgotten with the node."""

    __slots__ = ("key",)
    key: Key


def _forget(entry: Any) -> None:
    key = entry.key
    with _lock:
        held = _interned.pop(key, entry)
        if held is not entry:
            # An equal node has taken the place of the one that is being collected.
            _interned[key] = held


def even(number: int) -> int:
    """Round a number down to an even one."""
    return number - number % 2


def _digest(*parts: Any) -> str:
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _encode_fraction(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    raise TypeError(f"{value!r} cannot be part of an expression")


class Expr:
    """A node of an expression. Create nodes with the constructors and methods of the subclasses only."""

    __slots__ = ("__weakref__", "_digest", "args", "inputs", "kept", "op", "tags")

    medium: ClassVar[str]
    op: str
    args: Args
    inputs: tuple[Expr, ...]
    kept: tuple[SourceRange, ...]
    tags: frozenset[str]
    _digest: str | None

    @classmethod
    def _make(cls, op: str, inputs: tuple[Expr, ...], facts: Mapping[str, Any], **args: Any) -> Self:
        """Return the interned node with this operation, inputs and arguments.

        `facts` are the attributes that follow from them: they are set on the node but not part of its digest.
        """
        pairs = tuple(args.items())
        # Of equal numbers of different types, such as 1 and True, each has its own digest, so its own node.
        key: tuple[Any, ...] = (cls, op, inputs, pairs, tuple(map(type, args.values())))
        if op == "drawn":
            # A tile may give a painter any values, also such as cannot be hashed.
            key = (cls, op, repr(pairs))
        entry = _interned.get(key)
        known = entry() if entry is not None else None
        if known is not None:
            return known  # type: ignore[return-value]
        node = object.__new__(cls)
        # Bypasses the __setattr__ below, which makes nodes immutable.
        fill = object.__setattr__
        fill(node, "op", op)
        fill(node, "args", pairs)
        fill(node, "inputs", inputs)
        fill(node, "_digest", None)
        first = inputs[0] if inputs else None
        fill(node, "kept", first.kept if first else ())
        fill(node, "tags", first.tags if first else _NO_TAGS)
        for name, value in facts.items():
            fill(node, name, value)
        with _lock:
            # Another thread may have built an equal node meanwhile: the first one wins, so that `is` holds.
            fresh = _Entry(node, _forget)
            fresh.key = key
            entry = _interned.setdefault(key, fresh)
            known = entry()
            if known is None:
                _interned[key] = fresh
        return node if known is None else known  # type: ignore[return-value]

    @property
    def digest(self) -> str:
        """A digest of the medium, the operation, the arguments and the inputs, equal in every process."""
        if self._digest is None:
            for node in walk(self, prune=lambda below: below._digest is not None):
                if node._digest is None:
                    below = [part._digest for part in node.inputs]
                    object.__setattr__(node, "_digest", _digest(node.medium, node.op, node.args, below))
        assert self._digest is not None
        return self._digest

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
        """Return an argument of the operation.

        Raises
        ------
        KeyError
            If the operation has no such argument.
        """
        for key, value in self.args:
            if key == name:
                return value
        raise KeyError(name)

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value}" for key, value in self.args)
        return f"<{self.medium} {self.op}({shown}) of {len(self.inputs)}, {self.digest[:8]}>"


class _Timed(Expr):
    """An expression with a duration: a picture or a sound."""

    __slots__ = ("_clock", "duration")
    duration: Fraction
    _clock: str | None

    @property
    def clock(self) -> str:
        """A digest of the frame times: expressions with equal clocks have frames at the same times."""
        if self._clock is None:
            for node in walk(self, prune=lambda below: getattr(below, "_clock", "") is not None):
                if isinstance(node, _Timed) and node._clock is None:
                    object.__setattr__(node, "_clock", node._clock_of_inputs())
        assert self._clock is not None
        return self._clock

    def _clock_of_inputs(self) -> str:
        first, *others = (part for part in self.inputs if isinstance(part, _Timed))
        match self.op:
            case "keep":
                return _digest(first._clock, self.arg("ranges"))
            case "concat":
                return _digest(first._clock, *(part._clock for part in others))
            case _:
                assert first._clock is not None
                return first._clock

    def _stream(self) -> dict[str, Any]:
        """Return the attributes that a cut does not change."""
        raise NotImplementedError

    def keep(self, ranges: Iterable[Range]) -> Self:
        """Keep the frames (samples) with start ≤ t < end for each range, and play the ranges in order.

        Parameters
        ----------
        ranges
            Ranges in seconds on this expression's timeline, each within [0, duration].

        Raises
        ------
        ValueError
            If there is no range, or a range is empty or extends outside.
        """
        checked = checked_ranges(ranges, self.duration)
        if len(checked) == 1 and not checked[0][0] and checked[0][1] == self.duration:
            return self
        return self._make(
            "keep",
            (self,),
            {
                **self._stream(),
                "duration": total([end - start for start, end in checked]),
                "kept": cut_sources(self.kept, checked),
                "_clock": None,
            },
            ranges=checked,
        )

    def then(self, *others: Self) -> Self:
        """Join this expression and the others in order.

        Raises
        ------
        ValueError
            If the sizes of pictures, or the rates or channel counts of sounds, differ.
        """
        parts = (self, *others)
        if len(parts) == 1:
            return self
        stream = self._stream()
        # The rate of a picture is nominal, so parts of different rates can be joined; samples need one rate.
        for part in others:
            if any(
                part._stream()[name] != stream[name]
                for name in stream
                if name != "rate" or self.medium == "sound"
            ):
                raise ValueError(
                    "only parts of equal size (sounds of equal rate and channel count) can be joined"
                )
        facts = {
            **stream,
            "duration": total([part.duration for part in parts]),
            "_clock": None,
            "kept": tuple(piece for part in parts for piece in part.kept),
            "tags": frozenset().union(*(part.tags for part in parts)),
        }
        return self._make("concat", parts, facts)


class Picture(_Timed):
    """A moving picture: `width` × `height` square pixels, `rate` frames/s (nominal), `duration` s."""

    __slots__ = ("height", "rate", "width")
    medium = "picture"
    width: int
    height: int
    rate: Fraction

    def _stream(self) -> dict[str, Any]:
        return {"width": self.width, "height": self.height, "rate": self.rate}

    def _same(self) -> dict[str, Any]:
        return {
            "width": self.width,
            "height": self.height,
            "rate": self.rate,
            "duration": self.duration,
            "_clock": self._clock,
        }

    @classmethod
    def source(cls, asset: str, *, width: int, height: int, rate: Fraction, duration: Fraction) -> Picture:
        """Return the picture of an asset at its display size; t = 0 is its first frame."""
        if min(width, height) < 1 or rate <= 0 or duration <= 0:
            raise ValueError(f"not a picture: {width}×{height}, {rate} frames/s, {duration} s")
        facts = {
            "width": width,
            "height": height,
            "rate": rate,
            "duration": duration,
            "kept": (SourceRange((asset, Fraction(0), duration)),),
            "_clock": _digest(asset, duration),
        }
        return cls._make(
            "source", (), facts, asset=asset, width=width, height=height, rate=rate, duration=duration
        )

    def crop(self, x: int, y: int, width: int, height: int) -> Picture:
        """Crop to `width` × `height` pixels (even numbers) with the top left corner at (x, y)."""
        if not (x >= 0 and y >= 0 and x + width <= self.width and y + height <= self.height):
            raise ValueError(
                f"crop {width}×{height} at ({x}, {y}) extends outside {self.width}×{self.height}"
            )
        _check_size(width, height)
        if (width, height) == (self.width, self.height):
            return self
        facts = {**self._same(), "width": width, "height": height}
        return self._make("crop", (self,), facts, x=x, y=y, width=width, height=height)

    def scale(self, width: int, height: int) -> Picture:
        """Resample to `width` × `height` pixels (even numbers)."""
        _check_size(width, height)
        if (width, height) == (self.width, self.height):
            return self
        facts = {**self._same(), "width": width, "height": height}
        return self._make("scale", (self,), facts, width=width, height=height)

    def flip(self, *, horizontal: bool = False, vertical: bool = False) -> Picture:
        """Mirror left to right, top to bottom, or both."""
        if not (horizontal or vertical):
            return self
        return self._make("flip", (self,), self._same(), horizontal=horizontal, vertical=vertical)

    def blur(self, radius: int) -> Picture:
        """Blur twice with a box of 2·radius + 1 pixels."""
        if radius < 1:
            return self
        return self._make("blur", (self,), self._same(), radius=radius)

    def overlay(
        self, layer: Picture | Image, x: int, y: int, *, opacity: Fraction = Fraction(1), tag: str = ""
    ) -> Picture:
        """Lay `layer` over this picture with its top left corner at (x, y).

        `opacity` (0–1) scales the layer's alpha. `tag` names the layer, so that `without(tag)` can remove it.
        """
        facts = {**self._same(), "tags": self.tags | {tag} if tag else self.tags}
        return self._make("overlay", (self, layer), facts, x=x, y=y, opacity=opacity, tag=tag)

    def without(self, tag: str) -> Picture:
        """Remove the overlays with this tag.

        The time depends only on the nodes above the lowest of these overlays.
        """
        if tag not in self.tags:
            return self
        rebuilt: dict[Expr, Expr] = {}
        for node in walk(self, prune=lambda below: tag not in below.tags):
            if tag not in node.tags:
                rebuilt[node] = node
            elif node.op == "overlay" and node.arg("tag") == tag:
                rebuilt[node] = rebuilt[node.inputs[0]]
            else:
                rebuilt[node] = rebuild(node, tuple(rebuilt[below] for below in node.inputs))
        result = rebuilt[self]
        assert isinstance(result, Picture)
        return result


def _check_size(width: int, height: int) -> None:
    if min(width, height) < 2 or width % 2 or height % 2:
        raise ValueError(f"sizes must be even and at least 2: {width}×{height}")


class Sound(_Timed):
    """A sound: `rate` samples/s, `channels`, `duration` s."""

    __slots__ = ("channels", "rate")
    medium = "sound"
    rate: int
    channels: int

    def _stream(self) -> dict[str, Any]:
        return {"rate": self.rate, "channels": self.channels}

    @classmethod
    def source(cls, asset: str, *, rate: int, channels: int, duration: Fraction) -> Sound:
        """Return the sound of an asset on the timeline of its picture.

        t = 0 is the first frame of the picture; gaps in the sound are silence.
        """
        if rate <= 0 or channels <= 0 or duration <= 0:
            raise ValueError(f"not a sound: {rate} samples/s, {count(channels, 'channel')}, {duration} s")
        facts = {
            "rate": rate,
            "channels": channels,
            "duration": duration,
            "kept": (SourceRange((asset, Fraction(0), duration)),),
            "_clock": _digest(asset, duration),
        }
        return cls._make("source", (), facts, asset=asset, rate=rate, channels=channels, duration=duration)

    @classmethod
    def silence(cls, duration: Fraction, *, rate: int = 48_000, channels: int = 2) -> Sound:
        """Return silence. `kept` lists it as a range of `NO_SOURCE`, to keep the position of later ranges."""
        kept = (SourceRange((NO_SOURCE, Fraction(0), duration)),)
        clock = _digest("silence", duration)
        facts = {"rate": rate, "channels": channels, "duration": duration, "kept": kept, "_clock": clock}
        return cls._make("silence", (), facts, rate=rate, channels=channels, duration=duration)

    def _same(self) -> dict[str, Any]:
        return {**self._stream(), "duration": self.duration, "_clock": self._clock}

    def denoise(self) -> Sound:
        """Reduce steady background noise."""
        return self._make("denoise", (self,), self._same())

    def loudness(self, lufs: Fraction, peak: Fraction) -> Sound:
        """Normalise to an integrated loudness (LUFS, ITU-R BS.1770), with true peaks up to `peak` dBTP."""
        return self._make("loudness", (self,), self._same(), lufs=lufs, peak=peak)


class Image(Expr):
    """A still image: `width` × `height` pixels, with alpha."""

    __slots__ = ("height", "width")
    medium = "image"
    width: int
    height: int

    @classmethod
    def source(cls, asset: str, *, width: int, height: int) -> Image:
        """Return an image asset."""
        return cls._make(
            "source", (), {"width": width, "height": height}, asset=asset, width=width, height=height
        )

    @classmethod
    def drawn(cls, type_id: str, painter: str, *, width: int, height: int, **args: Any) -> Image:
        """Return an image that a tile type draws: `painters[painter]` of the type, called with `args`."""
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
        """Resample to `width` × `height` pixels."""
        if (width, height) == (self.width, self.height):
            return self
        return self._make("scale", (self,), {"width": width, "height": height}, width=width, height=height)


def walk(*roots: Expr, prune: Any = None) -> Iterator[Expr]:
    """Yield every node of the expressions once, inputs first.

    If `prune(node)` is true, do not descend into the inputs of that node.
    """
    seen: set[Expr] = set()
    # A node is on the stack twice: first to push its inputs, then to be yielded after them.
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
            stack.extend((below, False) for below in reversed(node.inputs) if below not in seen)


def rebuild(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """Return the same operation and arguments on other inputs, or `node` itself if they are equal."""
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
    """Return expressions as a flat list of JSON values: the nodes, inputs first, then the root indices."""
    place: dict[Expr, int] = {}
    out: list[dict[str, Any]] = []
    for node in walk(*roots):
        place[node] = len(out)
        out.append({**dump_node(node), "in": [place[below] for below in node.inputs]})
    out.append({"roots": [place[root] for root in roots]})
    return out


def dump_node(node: Expr) -> dict[str, Any]:
    """Return one node as JSON values, without its inputs."""
    args = json.loads(json.dumps(dict(node.args), default=_encode_fraction))
    return {"medium": node.medium, "op": node.op, "args": args}


# JSON has no fractions, so these arguments are text in a dump. So is the rate of a picture, not of a sound.
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
    """Read the output of `dump`: return one expression, or a tuple if several were dumped."""
    nodes: list[Expr] = []
    for entry in flat[:-1]:
        cls = _MEDIA[entry["medium"]]
        args = _read_args(entry["medium"], entry["args"])
        inputs = tuple(nodes[index] for index in entry["in"])
        if inputs:
            nodes.append(_apply(entry["op"], inputs, args))
        elif entry["op"] == "drawn":
            values = dict(args.pop("values"))
            nodes.append(Image.drawn(**args, **values))
        else:
            nodes.append(getattr(cls, entry["op"])(**args))
    roots = tuple(nodes[index] for index in flat[-1]["roots"])
    return roots[0] if len(roots) == 1 else roots


def _apply(op: str, inputs: tuple[Expr, ...], args: Mapping[str, Any]) -> Expr:
    if op == "concat":
        return inputs[0].then(*inputs[1:])  # type: ignore[attr-defined, no-any-return]
    return getattr(inputs[0], op)(*inputs[1:], **args)  # type: ignore[no-any-return]
