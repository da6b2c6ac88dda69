"""The tiles that come with Tessera, one file per tile or close family."""

from __future__ import annotations

from engine.node import NodeType
from nodes.audio_enhance import AudioEnhance
from nodes.audio_generation import AudioGeneration
from nodes.augment import Augment
from nodes.avatar import Avatar
from nodes.b_roll import BRoll
from nodes.bumpers import Intro, Outro
from nodes.captions import Captions, CaptionsWithEmojis, CinematicCaptions
from nodes.clips import Clips
from nodes.color_correction import ColorCorrection
from nodes.content_generation import ContentGeneration
from nodes.destination import Destination
from nodes.image_generation import ImageGeneration
from nodes.mimir import MimirExport
from nodes.mirror import Mirror
from nodes.montage import Montage
from nodes.motion_graphics import MotionGraphics
from nodes.music import Music
from nodes.premiere import PremiereExport
from nodes.reframe import Reframe
from nodes.rough_cut import RoughCut
from nodes.silence_removal import SilenceRemoval
from nodes.triggers import GoogleDriveTrigger, S3Trigger, ScheduleTrigger, YouTubeTrigger
from nodes.video_generation import VideoGeneration
from nodes.video_input import VideoInput
from nodes.voice import Voice
from nodes.voiceover import Voiceover
from nodes.watermark import Watermark

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
