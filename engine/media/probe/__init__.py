"""Facts about media files, read from their bytes alone.

Modules, in the order in which to read them:

- `info`: the result of a probe.
- `bounded_file`: files that take no more memory than they have bytes.
- `probe`: the probe itself, and containers opened safely.
- `lengths`: picture and sound of different length.
- `damage`, `cut_files`, `packet_form`: the seconds that are lost of a damaged file, and the signs of it.
- `lengths`: picture and sound of different length.
- `riff`: a check of WAV files before ffmpeg opens them.
- `svg`: SVG drawings, checked and rasterised in a subprocess.
- `image_pixels`: the pixels of any image file.
- `file_formats`: the file format of each kind of value, and the names of render files.
"""
