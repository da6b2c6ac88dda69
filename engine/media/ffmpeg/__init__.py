"""Compiling expressions to ffmpeg commands. Read in this order:

command
    Commands and the feeds that run beside them.
encode_settings
    Encode settings by quality.
colors
    Colour conversions.
last_picture
    The last picture of a source, repeated while its sound goes on.
pictures_on_screen
    The pictures on screen where ranges start.
steady
    One size, one orientation and no fields, whatever a source does midway.
lowering
    Expressions as ffmpeg filter graphs.
sound_lowering
    The sound part of a filter graph.
compiler
    The compiler from optimised expressions to commands.
feed
    A command together with its feeds.
"""
