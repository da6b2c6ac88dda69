"""Facts of one stream that take more than its header: what its packets and first pictures show.

Modules, in the order in which to read them:

- `packet_form`: packets that cannot be what their codec writes.
- `cut_files`: files that end before they say.
- `damage`: the ranges of a file that are lost.
- `first_frame`: the first picture that can be shown.
- `stills`: pictures that stay on the screen for long.
- `container_crop`: the part of the picture that the container shows.
- `orientation`: rotation and mirroring.
- `interlacing`: fields, and which frames to deinterlace.
- `parameter_changes`: changes of the picture within a stream.
- `sound_changes`: changes of the sound within a stream.
"""
