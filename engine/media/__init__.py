"""Media: expressions of pictures and sounds, and their way into files. Read in this order:

algebra
    Immutable expressions of pictures and sounds, and their optimiser.
probe
    File formats, and what a file contains.
ffmpeg
    The compiler from expressions to ffmpeg commands, and the processes that run them.
copy
    Stream copy: copied packets, with re-encoded pictures at the edges of cuts.
render
    Rendering values into files.
"""
