"""The tiles that come with Tessera.

There is one module per tile or family of tiles. Modules that several tiles share, in the order in which to
read them:

- `_fields`: parameter types and checks.
- `_per_video`: iteration over incoming videos.
- `_placeholder_media`: stand-ins for media that a tile cannot make offline.
- `_windows`: the choice of the best windows of a timeline.

Read `video_input`, `mirror` and `watermark` first: they are short and complete examples of tiles.
"""

from __future__ import annotations

from tessera.node import NodeType
from tessera.nodes.audio_enhance import AudioEnhance
from tessera.nodes.audio_generation import AudioGeneration
from tessera.nodes.augment import Augment
from tessera.nodes.avatar import Avatar
from tessera.nodes.b_roll import BRoll
from tessera.nodes.bumpers import Intro, Outro
from tessera.nodes.captions import Captions, CaptionsWithEmojis, CinematicCaptions
from tessera.nodes.clips import Clips
from tessera.nodes.color_correction import ColorCorrection
from tessera.nodes.content_generation import ContentGeneration
from tessera.nodes.destination import Destination
from tessera.nodes.image_generation import ImageGeneration
from tessera.nodes.mimir import MimirExport
from tessera.nodes.mirror import Mirror
from tessera.nodes.montage import Montage
from tessera.nodes.motion_graphics import MotionGraphics
from tessera.nodes.music import Music
from tessera.nodes.premiere import PremiereExport
from tessera.nodes.reframe import Reframe
from tessera.nodes.rough_cut import RoughCut
from tessera.nodes.silence_removal import SilenceRemoval
from tessera.nodes.triggers import GoogleDriveTrigger, S3Trigger, ScheduleTrigger, YouTubeTrigger
from tessera.nodes.video_generation import VideoGeneration
from tessera.nodes.video_input import VideoInput
from tessera.nodes.voice import Voice
from tessera.nodes.voiceover import Voiceover
from tessera.nodes.watermark import Watermark

__all__ = ["tiles"]

tiles: tuple[type[NodeType], ...] = (
    VideoInput,
    YouTubeTrigger,
    GoogleDriveTrigger,
    S3Trigger,
    ScheduleTrigger,
    RoughCut,
    Clips,
    Montage,
    Reframe,
    SilenceRemoval,
    Captions,
    CinematicCaptions,
    MotionGraphics,
    Intro,
    Outro,
    Watermark,
    ColorCorrection,
    Mirror,
    AudioEnhance,
    Voice,
    BRoll,
    Voiceover,
    Music,
    Avatar,
    VideoGeneration,
    AudioGeneration,
    ImageGeneration,
    ContentGeneration,
    PremiereExport,
    MimirExport,
    Destination,
    Augment,
    CaptionsWithEmojis,
)
