"""Rendering: an expression into a file, under a temporary name until it is whole."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import RenderError
from engine.files import part_prefix, whole_file
from engine.media.compile import Command, Gain, Located, Resolver, Target, compile_render
from engine.media.copying import Halves, Made, Plan, Way, plan_copy, write_copy
from engine.media.expr import Expr, Image, Picture, Sound, walk
from engine.media.feed import run_command
from engine.media.ffmpeg import UNWATCHED, Finished, Watch
from engine.media.forms import image_format
from engine.media.item import Audio, Project, Value, Video
from engine.media.levels import Leveller
from engine.media.optimise import optimise
from engine.media.packets import Unsafe
from engine.media.pictures import pixels_of

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["Made", "Rendered", "Renderer", "write_thumbnail"]

NOTHING_ENCODED = "nothing was encoded"
"""What ffmpeg says of an output that holds no frame."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a render left: the file, the ffmpeg commands that made it, what was measured on the way, and
    what of it was copied (None for an image).
    """

    path: Path
    commands: tuple[tuple[str, ...], ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be rendered, optimised, and what that takes."""

    picture: Picture | None
    sound: Sound | None
    resolve: Resolver
    gains: dict[str, Gain]
    folder: Path


@dataclass
class Renderer:
    """Renders values.

    Attributes
    ----------
    locate
        Finds the file and the probe of an asset by its id.
    paint
        Draws a drawn leaf: (type id, painter name, width, height, arguments) → a picture.
    cancelled, progress
        As in `run_ffmpeg`; progress is a fraction of the whole, 0–1.
    timeout_s
        For each ffmpeg process, and for copying.
    watch
        Looks on at the ffmpeg processes.
    """

    locate: Callable[[str], Located]
    paint: Callable[[Image], PillowImage]
    cancelled: Callable[[], bool] = lambda: False
    progress: Callable[[float], None] = lambda _fraction: None
    timeout_s: float | None = None
    target: Target = field(default_factory=Target)
    watch: Watch = UNWATCHED

    def render(self, value: Value, output: Path) -> Rendered:
        """Render a value into `output`. The file appears whole or not at all.

        Raises
        ------
        RenderError
            ffmpeg failed, or the file cannot be written.
        Cancelled
            The run was cancelled.
        """
        output = output.absolute()
        match value:
            case Video(picture, sound):
                return self._timed(picture, sound, output)
            case Audio(sound):
                return self._timed(None, sound, output)
            case Image():
                return self._image(value, output)
            case Project():
                raise RenderError("projects cannot be written yet")

    def _timed(self, picture: Picture | None, sound: Sound | None, output: Path) -> Rendered:
        better_picture = _picture(optimise(picture)) if picture else None
        better_sound = _sound(optimise(sound)) if sound else None
        with tempfile.TemporaryDirectory(prefix="tessera-") as name:
            folder = Path(name)
            leveller = Leveller(
                lambda command: self._run(command, folder), _Leaves(self, folder).resolve, folder
            )
            if better_sound is not None:
                better_sound = leveller.level(better_sound)
            work = _Work(better_picture, better_sound, leveller.resolve, leveller.gains, folder)
            commands = leveller.commands
            with _temporary(output) as partial:
                made, ran = self._make(work, partial)
                commands.extend(
                    tuple(str(output) if arg == str(partial) else arg for arg in one) for one in ran
                )
        return Rendered(output, tuple(commands), leveller.measured, made)

    def _make(self, work: _Work, partial: Path) -> tuple[Made, list[tuple[str, ...]]]:
        """Copy what can be copied; where nothing can, or what is written fails its check, encode all."""
        note = ""
        if work.picture is not None and not self.target.lossless:
            plan = plan_copy(work.picture, work.sound, work.resolve, self.target)
            note = plan.note
            if plan.picture is not None or plan.sound is not None:
                try:
                    return self._copy(plan, work, partial)
                except Unsafe as doubt:
                    note = str(doubt)
        ran = self._encode(work, partial, work.picture, work.sound)
        picture: Way | None = "encoded" if work.picture is not None else None
        return Made(picture, "encoded" if work.sound is not None else None, note=note), ran

    def _copy(self, plan: Plan, work: _Work, partial: Path) -> tuple[Made, list[tuple[str, ...]]]:
        """Encode the half that is not copied, if there is one, and put the file together."""
        ran: list[tuple[str, ...]] = []
        with tempfile.TemporaryDirectory(prefix=part_prefix(), dir=partial.parent) as folder:
            half = Path(folder) / "half.mp4"
            halves = Halves()
            if plan.picture is None:
                halves = Halves(picture=half)
                ran += self._encode(work, half, work.picture, None)
            elif plan.sound is None and work.sound is not None:
                halves = Halves(sound=half)
                ran += self._encode(work, half, None, work.sound)
            progress = (lambda _fraction: None) if ran else self.progress
            made = write_copy(plan, halves, partial, cancelled=self._stopped(), progress=progress)
        return made, ran

    def _stopped(self) -> Callable[[], bool]:
        """`cancelled`, which fails once the time for one process is over."""
        begun = time.monotonic()

        def stopped() -> bool:
            if self.timeout_s is not None and time.monotonic() - begun > self.timeout_s:
                raise RenderError(f"copying took longer than {self.timeout_s:g} s and was stopped")
            return self.cancelled()

        return stopped

    def _encode(
        self, work: _Work, output: Path, picture: Picture | None, sound: Sound | None
    ) -> list[tuple[str, ...]]:
        """Render a picture, a sound or both by ffmpeg, and give its commands."""
        command = compile_render(picture, sound, output, work.resolve, work.gains, self.target)
        seconds = float((picture or sound).duration)  # type: ignore[union-attr]
        finished = self._run(
            command, work.folder, lambda at: self.progress(min(at / seconds, 1.0) if seconds else 1.0)
        )
        if NOTHING_ENCODED in finished.stderr:
            raise RenderError("no frame lies within what is kept: it is shorter than a frame lasts")
        return [*finished.fed, finished.command]

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
        """An image expression as pixels."""
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


class _Leaves:
    """The files of an expression's leaves; images become PNG files of our own writing, whatever they were."""

    def __init__(self, renderer: Renderer, folder: Path) -> None:
        self.renderer, self.folder = renderer, folder
        self.known: dict[str, Located] = {}

    def resolve(self, node: Expr) -> Located:
        if not isinstance(node, Image):
            return self.renderer.locate(node.arg("asset"))
        if node.digest not in self.known:
            from engine.media.probe import probe

            path = self.folder / f"{node.digest}.png"
            self.renderer.raster(node).save(path, "PNG")
            self.known[node.digest] = Located(path, probe(path))
        return self.known[node.digest]


@contextlib.contextmanager
def _temporary(output: Path) -> Iterator[Path]:
    """`whole_file`, with what goes wrong in it as a `RenderError`."""
    try:
        with whole_file(output) as partial:
            yield partial
    except OSError as error:
        raise RenderError(f"cannot write {output}: {error.strerror or error}") from None


def write_thumbnail(media: Path, output: Path, *, at: Fraction = Fraction(1, 3), width: int = 640) -> None:
    """A JPEG of a keyframe near the fraction `at` of a video, at most `width` pixels wide."""
    from engine.media.probe import open_media

    with open_media(media) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        if container.duration:
            container.seek(int(container.duration * at), backward=True)
        frame = next(container.decode(stream))
        picture = frame.to_image()  # type: ignore[no-untyped-call]
    picture.thumbnail((width, width * 4))
    with _temporary(output) as partial:
        picture.save(partial, "JPEG", quality=85)
