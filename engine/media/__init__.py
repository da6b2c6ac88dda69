"""Media: expressions of pictures and sounds, and their way into files. Read in this order:

algebra
    Immutable expressions of pictures and sounds, and their optimiser.
probe
    File formats, and what a file contains.
stream_facts
    What takes a look at packets and pictures: damage, interlacing, crops, changes midway.
process
    Processes of ffmpeg.
ffmpeg
    The compiler from expressions to ffmpeg commands.
copy
    Stream copy: copied packets, with re-encoded pictures at the edges of cuts.
render
    Rendering values into files.
"""
