"""Rendering values into files. Read in this order:

renderer
    The renderer of videos, sounds and images.
output_file
    The plan and the assembly of one output file.
thumbnail
    The choice of the picture that stands for a video.
loudness
    Two-pass loudness measurement.
decoder_groups
    The choice of renders that share one decoder.
"""
