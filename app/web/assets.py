"""The built assets, as small as the reader takes them: the build leaves `main.js.br` and `main.js.gz` beside
`main.js` (static/build.mjs), and one of them is sent where the browser says that it can read it (RFC 9110,
12.5.3). Browsers ask for Brotli over https and on localhost, and for gzip anywhere.
"""

from __future__ import annotations

import mimetypes

from flask import Response, request, send_from_directory

from app.paths import static_dir

# In order of preference.
ENCODINGS = {"br": ".br", "gzip": ".gz"}


def send_asset(filename: str) -> Response:
    """Send a file of the built assets; raise NotFound."""
    for encoding, suffix in ENCODINGS.items():
        if request.accept_encodings[encoding] and (static_dir() / f"{filename}{suffix}").is_file():
            kind = mimetypes.guess_type(filename)[0]
            response = send_from_directory(static_dir(), f"{filename}{suffix}", mimetype=kind)
            response.headers["Content-Encoding"] = encoding
            break
    else:
        response = send_from_directory(static_dir(), filename)
    response.headers["Vary"] = "Accept-Encoding"
    return response
