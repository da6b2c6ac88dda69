"""The run request: the whole body with every source form and both clip styles (contract, section 3)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tessera.agent import read_json
from tessera.errors import Fault, RequestError, pointer
from tessera.text.masking import masked_url
from tessera.validation import Path, faults_of, not_json, shown

__all__ = [
    "SOURCE_FIELDS",
    "IdInput",
    "MimirAsset",
    "Outline",
    "RunRequest",
    "SourceForm",
    "SourceRef",
    "UrlInput",
    "VideoInput",
    "read_request",
]

SourceForm = Literal["video_id", "node_render_id", "video_url", "youtube_url", "signed_url", "mimir"]


def _check_url(text: str) -> str:
    if re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError("must be an http or https URL, without spaces or control characters")
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        # The standard library quotes a bad port, which is a piece of the password if that holds a "/".
        what = "its port is no number from 0 to 65535" if "ort" in str(error) else "it has no readable host"
        raise ValueError(f"must be an http or https URL, but {what}") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise ValueError(f"must be an http or https URL, not {parts.scheme or 'one without a scheme'}")
    if not host:
        raise ValueError("must be an http or https URL with a host")
    return text


Url = Annotated[str, AfterValidator(_check_url)]
SourceId = Annotated[str, Field(min_length=1)]
Milliseconds = Annotated[int, Field(ge=0, strict=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class _Clipped(_Body):
    """A range of the source, in ms from its first video frame.

    A missing start is 0; a missing end is the end of the source.
    """

    input_clip_start_ms: Milliseconds | None = None
    input_clip_end_ms: Milliseconds | None = None


class IdInput(_Clipped):
    """A stored video or an earlier render, whole or clipped.

    `name` is the name of the file in this run, an addition to the contract; by default it is the name under
    which the media was stored first.
    """

    id: SourceId
    name: str | None = None


class UrlInput(_Clipped):
    """A URL, whole or clipped."""

    url: Url


class MimirAsset(_Clipped):
    """An item of a connected Mimir archive."""

    id: SourceId
    artifact: Literal["highres", "proxy", "auto"] = "highres"


class _Sources(_Clipped):
    """Sources in any mixture of forms, and the default range of those without their own."""

    video_ids: list[SourceId] | None = None
    node_render_ids: list[SourceId] | None = None
    video_urls: list[Url] | None = None
    youtube_urls: list[Url] | None = None
    signed_urls: list[Url] | None = None
    video_id_inputs: list[IdInput] | None = None
    node_render_inputs: list[IdInput] | None = None
    video_url_inputs: list[UrlInput] | None = None
    youtube_url_inputs: list[UrlInput] | None = None
    mimir_assets: list[MimirAsset] | None = None

    def refs(self, *base: str | int) -> Iterator[SourceRef]:
        """Yield the sources in canonical form, in the order of `SOURCE_FIELDS`."""
        shared = (self.input_clip_start_ms, self.input_clip_end_ms)
        for field, form in SOURCE_FIELDS.items():
            for index, item in enumerate(getattr(self, field) or ()):
                loc = pointer(*base, field, index)
                if isinstance(item, str):
                    yield SourceRef(form, item, shared[0], shared[1], loc=loc)
                    continue
                own = (item.input_clip_start_ms, item.input_clip_end_ms)
                start, end = shared if own == (None, None) else own
                key = item.url if isinstance(item, UrlInput) else item.id
                artifact = item.artifact if isinstance(item, MimirAsset) else None
                name = item.name if isinstance(item, IdInput) else None
                yield SourceRef(form, key, start, end, artifact, loc, name)


SOURCE_FIELDS: Mapping[str, SourceForm] = {
    "video_ids": "video_id",
    "node_render_ids": "node_render_id",
    "video_urls": "video_url",
    "youtube_urls": "youtube_url",
    "signed_urls": "signed_url",
    "video_id_inputs": "video_id",
    "node_render_inputs": "node_render_id",
    "video_url_inputs": "video_url",
    "youtube_url_inputs": "youtube_url",
    "mimir_assets": "mimir",
}


@dataclass(frozen=True, slots=True)
class SourceRef:
    """One source of a Video Input: its form and key, its range (ms; None is open), and its JSON pointer.

    `name` is its name in this run, or None for the name under which it is stored.
    """

    form: SourceForm
    key: str
    start_ms: int | None = None
    end_ms: int | None = None
    artifact: Literal["highres", "proxy", "auto"] | None = None
    loc: str = ""
    name: str | None = None

    @property
    def masked_key(self) -> str:
        """The key without the secrets of a URL, for people, records and facts."""
        return masked_url(self.key)

    def to_dict(self) -> dict[str, Any]:
        """Return the source as JSON. `metered_ms` is the length of its clip, or None without an end."""
        return {
            "form": self.form,
            "key": self.key,
            "input_clip_start_ms": self.start_ms,
            "input_clip_end_ms": self.end_ms,
            "metered_ms": None if self.end_ms is None else self.end_ms - (self.start_ms or 0),
            "artifact": self.artifact,
            "loc": self.loc,
            **({"name": self.name} if self.name is not None else {}),
        }


class VideoInput(_Sources):
    """The sources of one Video Input."""

    agent_node_id: str


class RunRequest(_Sources):
    """The whole body of a run request."""

    video_inputs: list[VideoInput] | None = None
    callback_url: Url | None = None
    update_params: dict[str, dict[str, Any]] | None = None
    ignore_nodes: list[str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the request as JSON, without unset members."""
        return self.model_dump(mode="json", exclude_unset=True)


@dataclass(frozen=True)
class Outline:
    """The parts of a request that the graph rules use. They are read leniently, even from a faulty request.

    Attributes
    ----------
    fields
        The non-empty source arrays at the top level.
    entries
        Index, node id (None if unreadable) and presence of sources for each entry of `video_inputs`.
    overrides, ignored
        `update_params` and `ignore_nodes`, as far as they can be read.
    clip
        The clip members at the top level.
    """

    fields: tuple[str, ...]
    entries: tuple[tuple[int, str | None, bool], ...]
    overrides: Mapping[str, Mapping[str, Any]]
    ignored: tuple[tuple[int, str], ...]
    clip: tuple[str, ...]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Outline:
        overrides = raw.get("update_params")
        ignored = raw.get("ignore_nodes")
        entries = []
        for index, entry in _entries(raw):
            if isinstance(entry, dict):
                node = entry.get("agent_node_id")
                entries.append((index, node if isinstance(node, str) else None, any(_filled(entry))))
            else:
                entries.append((index, None, True))
        return cls(
            fields=tuple(_filled(raw)),
            entries=tuple(entries),
            overrides={
                node: values
                for node, values in (overrides.items() if isinstance(overrides, dict) else ())
                if isinstance(values, dict)
            },
            ignored=tuple(
                (index, node)
                for index, node in enumerate(ignored if isinstance(ignored, list) else ())
                if isinstance(node, str)
            ),
            clip=tuple(name for name in _Clipped.model_fields if raw.get(name) is not None),
        )


def _entries(raw: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    """Yield the entries of `video_inputs`. A value that is not an array counts as one unreadable entry."""
    entries = raw.get("video_inputs")
    return enumerate(entries if isinstance(entries, list) else () if entries is None else (None,))


def _filled(sources: Mapping[str, Any]) -> Iterator[str]:
    """Yield the non-empty source fields. A wrong value counts: it is a separate fault."""
    for field in SOURCE_FIELDS:
        value = sources.get(field)
        if value is not None and value != []:
            yield field


def read_request(request: Any) -> tuple[RunRequest | None, Outline | None, list[Fault]]:
    """Read a request from a model, a dict, JSON text or a path. None is an empty request.

    Return the request (None if its shape is wrong), its readable outline (None if nothing is readable), and
    every fault of its shape.
    """
    try:
        if isinstance(request, RunRequest):
            request = request.model_dump(exclude_unset=True)
        raw = {} if request is None else read_json(request, "request")
    except RequestError as error:
        return None, None, list(error.errors)
    except ValueError as error:  # pydantic raises this for a value that contains itself
        return None, None, [Fault("", "request", f"the request is not JSON: {error}", "not_json")]
    if not isinstance(raw, dict):
        what = f"a run request is an object, not {shown(raw)}"
        return None, None, [Fault("", "request", what, "wrong_value")]
    odd = not_json(raw)
    if odd is not None:
        return None, None, [Fault(pointer(*odd[0]), "request", odd[1], "wrong_value")]
    raw = deepcopy(raw)
    faults: list[Fault] = []
    model: RunRequest | None = None
    try:
        model = RunRequest.model_validate(raw)
    except ValidationError as error:
        faults += [fault for _path, fault in faults_of(error, raw, "request", known=_known)]
    faults += _clip_faults(raw)
    return (None if faults else model), Outline.of(raw), faults


def _known(path: Path) -> Collection[str]:
    """Return the fields allowed at the place of an unknown field."""
    if len(path) < 3:
        return RunRequest.model_fields
    return _ITEMS.get(str(path[-3]), VideoInput).model_fields


_ITEMS: Mapping[str, type[BaseModel]] = {
    "video_id_inputs": IdInput,
    "node_render_inputs": IdInput,
    "video_url_inputs": UrlInput,
    "youtube_url_inputs": UrlInput,
    "mimir_assets": MimirAsset,
}


def _clip_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for every range, at any level, whose end is not after its start."""
    holders: list[tuple[Path, Any]] = [((), raw)]
    holders += [(("video_inputs", index), entry) for index, entry in _entries(raw)]
    for path, holder in holders:
        if not isinstance(holder, dict):
            continue
        yield from _range_fault(path, holder)
        for field in _ITEMS:
            items = holder.get(field)
            for index, item in enumerate(items if isinstance(items, list) else ()):
                if isinstance(item, dict):
                    yield from _range_fault((*path, field, index), item)


def _range_fault(path: Path, holder: Mapping[str, Any]) -> Iterator[Fault]:
    start, end = holder.get("input_clip_start_ms"), holder.get("input_clip_end_ms")
    start = 0 if start is None else start
    if type(start) is int and type(end) is int and 0 <= end <= start:
        what = f"a clip's end must be after its start: it ends at {end} ms and starts at {start} ms"
        yield Fault(pointer(*path, "input_clip_end_ms"), "request", what, "wrong_range")
