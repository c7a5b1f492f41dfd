"""The built assets, as small as the reader takes them: the build leaves `main.js.br` and `main.js.gz` beside
`main.js` (static/build.mjs), and one of them is sent where the browser says that it can read it (RFC 9110,
12.5.3); answers that are long are squeezed on their way. Browsers ask for Brotli over https and on localhost,
and for gzip anywhere.
"""

from __future__ import annotations

import gzip
import mimetypes

from flask import Flask, Response, request, send_from_directory

from app.paths import static_dir

# Answers that are made when they are asked for: squeezed quickly, and only where it is worth it.
SQUEEZED = ("application/json", "text/html")
WORTH_BYTES, LEVEL = 1400, 4
# In order of preference.
ENCODINGS = {"br": ".br", "gzip": ".gz"}


def add_assets(app: Flask) -> None:
    """Serve the built assets, and squeeze what is made for a request."""
    app.view_functions["static"] = send_asset
    app.after_request(squeeze)


def squeeze(response: Response) -> Response:
    """Send an answer as gzip if it is text that is long enough and its reader takes that."""
    if response.mimetype not in SQUEEZED or response.is_streamed or "Content-Encoding" in response.headers:
        return response
    response.headers.add("Vary", "Accept-Encoding")
    if request.accept_encodings["gzip"] and len(response.get_data()) >= WORTH_BYTES:
        response.set_data(gzip.compress(response.get_data(), LEVEL))
        response.headers["Content-Encoding"] = "gzip"
    return response


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
