"""Stream copy of pictures and sounds, with re-encoded pictures at the edges of cuts. Read in this order:

stream_copy
    The plan of copied and encoded streams, and the writer of the file.
avc
    H.264 parameter sets and NAL units.
packets
    Reading packets without decoding.
splice
    The split of a cut into copied and re-encoded pictures, and its timestamps.
picture_copy
    The copied or cut picture of a file.
edge_x264
    The x264 encoder of the edge pictures.
edge_encoder
    The thread that decodes and re-encodes edge pictures.
aac_copy
    The copied AAC packets of a sound.
copy_check
    Checks of the written file.
"""
