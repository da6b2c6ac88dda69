"""Rendering an expression into a file, under a temporary name until it is complete."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.errors import RenderError
from tessera.files import kept_by_content, whole_file
from tessera.media.algebra.expression import Expr, Image, Picture, Sound, walk
from tessera.media.algebra.item import Audio, Project, Value, Video
from tessera.media.algebra.optimiser import optimise
from tessera.media.copy.packets import Unsafe
from tessera.media.copy.stream_copy import CopyReport
from tessera.media.ffmpeg.compiler import (
    Command,
    Encode,
    EncodeSettings,
    Located,
    Resolver,
    compile_render,
    compile_together,
)
from tessera.media.ffmpeg.encode_settings import sized
from tessera.media.ffmpeg.feed import run_command
from tessera.media.probe.file_formats import image_format, single_stream_path
from tessera.media.probe.image_pixels import pixels_of
from tessera.media.probe.info import MediaInfo
from tessera.media.process.process import NO_FRAME, UNWATCHED, Finished, Watch
from tessera.media.render.loudness import LoudnessMeter
from tessera.media.render.output_check import check_output, probe_output
from tessera.media.render.output_file import OutputFile

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["CopyReport", "Rendered", "Renderer"]

NOTHING_ENCODED = "nothing was encoded"
"""The text that ffmpeg prints for an output without a frame."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The result of a render.

    Attributes
    ----------
    commands
        The ffmpeg commands that made it.
    measured
        Its loudness measurements.
    made
        The copy report, or None for an image.
    info
        The facts of the file, which keep its promise; None for an image or a lossless file.
    """

    path: Path
    commands: tuple[tuple[str, ...], ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)
    made: CopyReport | None = None
    info: MediaInfo | None = None


@dataclass
class Renderer:
    """Renders values.

    Attributes
    ----------
    locate
        Return the file and the probe of an asset by its id.
    paint
        Draw a `drawn` leaf: (type id, painter name, width, height, arguments) → a picture.
    cancelled, progress
        As in `run_ffmpeg`; progress is a fraction of the whole, 0–1.
    timeout_s
        For each ffmpeg process, and for copying.
    watch
        The observer of the ffmpeg processes.
    drawn
        A folder that keeps the pictures that ffmpeg reads, named by content, so that its commands can be run
        again. By default they are deleted when the render ends.
    """

    locate: Callable[[str], Located]
    paint: Callable[[Image], PillowImage]
    cancelled: Callable[[], bool] = lambda: False
    progress: Callable[[float], None] = lambda _fraction: None
    timeout_s: float | None = None
    target: EncodeSettings = field(default_factory=EncodeSettings)
    watch: Watch = UNWATCHED
    drawn: Path | None = None

    def render(self, value: Value, output: Path) -> Rendered:
        """Render a value into `output`. The file appears complete or not at all.

        Raises
        ------
        RenderError
            If ffmpeg fails, or the file cannot be written.
        Cancelled
            If the run is cancelled.
        """
        output = output.absolute()
        match value:
            case Video(picture, sound):
                return self._timed([(picture, sound, output)])[0]
            case Audio(sound):
                return self._timed([(None, sound, output)])[0]
            case Image():
                return self._image(value, output)
            case Project():
                raise RenderError("projects cannot be written yet")

    def render_together(self, renders: Sequence[tuple[Video, Path]]) -> list[Rendered]:
        """Render videos that share a decoder (see `decoder_groups`), each into its own file.

        Either all files appear or none.

        Raises
        ------
        RenderError
            If ffmpeg fails, or a file cannot be written.
        Cancelled
            If the run is cancelled.
        """
        return self._timed([(video.picture, video.sound, output.absolute()) for video, output in renders])

    def _timed(self, renders: Sequence[tuple[Picture | None, Sound | None, Path]]) -> list[Rendered]:
        with tempfile.TemporaryDirectory(prefix="tessera-") as name, contextlib.ExitStack() as files:
            folder = Path(name)
            levels = _SoundLevels(lambda command: self._run(command, folder), _Leaves(self, folder), folder)
            outputs = []
            for picture, sound, output in renders:
                better = _picture(optimise(picture)) if picture is not None else None
                heard, meter = levels.level(sound)
                file = OutputFile(better, heard, meter, files.enter_context(_temporary(output)), self.target)
                files.callback(file.half.unlink, missing_ok=True)
                outputs.append(file)
            self._encode(outputs, levels.resolve, folder)
            infos = [self._finish(file, levels.resolve, folder) for file in outputs]
            names: dict[str, str] = {}
            for file, (*_, output) in zip(outputs, renders, strict=True):
                names |= {str(file.partial): str(output), str(file.half): str(single_stream_path(output))}
        return [
            Rendered(
                output,
                tuple(tuple(names.get(arg, arg) for arg in command) for command in file.commands),
                file.measured,
                file.made,
                info,
            )
            for file, info, (*_, output) in zip(outputs, infos, renders, strict=True)
        ]

    def _finish(self, file: OutputFile, resolve: Resolver, folder: Path) -> MediaInfo | None:
        """Assemble the file, check it and return its facts. If copied streams fail, encode everything."""
        try:
            return self._finished(file, resolve)
        except Unsafe as doubt:
            file.encode_all(str(doubt))
            self._encode([file], resolve, folder)
            return self._finished(file, resolve)

    def _finished(self, file: OutputFile, resolve: Resolver) -> MediaInfo | None:
        file.finish(self._stopped(), self.progress)
        if self.target.lossless:
            # Lossless files are for measurements: their format is none that a user may bring, or get.
            return None
        picture = sized(file.picture, self.target) if file.picture is not None else None
        try:
            info = probe_output(file.partial)
            check_output(info, picture, file.sound, resolve)
        except RenderError as error:
            if file.plan is None:
                raise
            raise Unsafe(str(error)) from None
        return info

    def _stopped(self) -> Callable[[], bool]:
        """Return `cancelled` with a timeout: it raises once `timeout_s` is over."""
        begun = time.monotonic()

        def stopped() -> bool:
            if self.timeout_s is not None and time.monotonic() - begun > self.timeout_s:
                raise RenderError(f"copying took longer than {self.timeout_s:g} s and was stopped")
            return self.cancelled()

        return stopped

    def _encode(self, outputs: Sequence[OutputFile], resolve: Resolver, folder: Path) -> None:
        """Encode the streams of these files with one ffmpeg process."""
        encodes = [file.encode for file in outputs if file.encode is not None]
        if not encodes:
            return
        gains = {digest: gain for file in outputs for digest, gain in file.meter.gains.items()}
        if len(encodes) > 1:
            command = compile_together(encodes, resolve, gains, self.target)
        else:
            picture, sound, output = encodes[0].picture, encodes[0].sound, encodes[0].output
            command = compile_render(picture, sound, output, resolve, gains, self.target)
        seconds = max(float((one.picture or one.sound).duration) for one in encodes)  # type: ignore[union-attr]
        finished = self._run(
            command, folder, lambda at: self.progress(min(at / seconds, 1.0) if seconds else 1.0)
        )
        if any(_lacks_pictures(one, resolve) for one in encodes):
            raise RenderError("no picture of the kept range can be decoded: the source is damaged there")
        if NOTHING_ENCODED in finished.stderr:
            raise RenderError(NO_FRAME)
        before = dict.fromkeys(command for file in outputs for command in file.commands)
        for file in outputs:
            file.commands = [*before, *finished.fed, finished.command]

    def _run(
        self, command: Command, folder: Path, progress: Callable[[float], None] | None = None
    ) -> Finished:
        return run_command(
            command,
            folder,
            progress=progress,
            cancelled=self.cancelled,
            timeout_s=self.timeout_s,
            watch=self.watch,
        )

    def _image(self, image: Image, output: Path) -> Rendered:
        picture = self.raster(image)
        kind = image_format(image)
        with _temporary(output) as partial:
            if kind == "jpeg":
                picture.convert("RGB").save(partial, "JPEG", quality=92)
            else:
                picture.save(partial, kind.upper())
        return Rendered(output)

    def raster(self, image: Image) -> PillowImage:
        """Return the pixels of an image expression."""
        from PIL import Image as Pillow

        made: dict[Expr, PillowImage] = {}
        for node in walk(image):
            assert isinstance(node, Image)
            if node.op == "drawn":
                made[node] = self.paint(node)
            elif node.op == "source":
                made[node] = pixels_of(self.locate(node.arg("asset")).path)
            else:
                made[node] = made[node.inputs[0]].resize((node.width, node.height), Pillow.Resampling.LANCZOS)
        return made[image]


def _picture(node: Expr | None) -> Picture | None:
    assert node is None or isinstance(node, Picture)
    return node


def _sound(node: Expr | None) -> Sound | None:
    assert node is None or isinstance(node, Sound)
    return node


def _lacks_pictures(encode: Encode, resolve: Resolver) -> bool:
    """Return True if no picture of a damaged source could be decoded: its sound alone is then encoded."""
    if encode.picture is None:
        return False
    sources = (leaf for leaf in walk(encode.picture) if leaf.op == "source" and isinstance(leaf, Picture))
    if not any(resolve(leaf).info.lost for leaf in sources):
        return False
    from tessera.media.probe.probe import open_media

    with open_media(encode.output) as made:
        packets = made.demux(made.streams.video[0]) if made.streams.video else ()
        return not any(packet.size for packet in packets)


class _Leaves:
    """The files of an expression's leaves. Every image is rewritten as a PNG file."""

    def __init__(self, renderer: Renderer, folder: Path) -> None:
        self.renderer, self.folder = renderer, folder
        self.known: dict[str, Located] = {}

    def resolve(self, node: Expr) -> Located:
        if not isinstance(node, Image):
            return self.renderer.locate(node.arg("asset"))
        if node.digest not in self.known:
            from tessera.media.probe.probe import probe

            written = BytesIO()
            self.renderer.raster(node).save(written, "PNG")
            folder = self.renderer.drawn or self.folder
            try:
                path = kept_by_content(folder, written.getvalue(), ".png")
            except OSError as error:
                raise RenderError(f"cannot write into {folder}: {error.strerror or error}") from None
            self.known[node.digest] = Located(path, probe(path))
        return self.known[node.digest]


class _SoundLevels:
    """The sounds of renders that are made together: equal sounds are levelled once."""

    def __init__(self, run: Callable[[Command], Finished], leaves: _Leaves, folder: Path) -> None:
        self.run, self.leaves, self.folder = run, leaves, folder
        self.known: dict[Sound | None, tuple[Sound | None, LoudnessMeter]] = {}

    def level(self, sound: Sound | None) -> tuple[Sound | None, LoudnessMeter]:
        """Return the optimised sound, and the meter that holds its gains."""
        if sound not in self.known:
            meter = LoudnessMeter(self.run, self.leaves.resolve, self.folder)
            better = _sound(optimise(sound)) if sound is not None else None
            self.known[sound] = (meter.level(better) if better is not None else None, meter)
        return self.known[sound]

    def resolve(self, node: Expr) -> Located:
        """Return the file of a leaf, or of a sound that a meter has kept."""
        for _sound, meter in self.known.values():
            if node.medium == "sound" and node.arg("asset") in meter.kept:
                return meter.kept[node.arg("asset")]
        return self.leaves.resolve(node)


@contextlib.contextmanager
def _temporary(output: Path) -> Iterator[Path]:
    """Open `whole_file`, and raise its errors as a `RenderError`."""
    try:
        with whole_file(output) as partial:
            yield partial
    except OSError as error:
        raise RenderError(f"cannot write {output}: {error.strerror or error}") from None
