"""Downloads of URLs and site videos, safe against private addresses, endless bodies and stalls.

Read in this order:

- `rules`: limits, progress and errors.
- `addresses`: the address ranges that may be connected to.
- `guard_proxy`: the loopback proxy that checks every connection.
- `sniff`: the kind of content, from its first bytes.
- `media_length`: the declared duration, from the first bytes.
- `content_coding`: bodies that a server has compressed unasked.
- `http_file`: files by URL, with resumed downloads.
- `ytdlp_site`: videos of sites, with yt-dlp.
- `ytdlp_proxy`: a yt-dlp client that always uses the proxy.
- `ytdlp_errors`: yt-dlp errors as causes and next steps.
- `parallel_downloads`: several downloads with progress and stall detection.
- `download_cache`: the index of earlier downloads.
- `fetcher`: inspects all sources, then fetches each once.
"""
