"""Which language a request is answered in, and for whom the page is shown: `?lang=`, `?mode=`, their cookies.

Languages are chosen as Accept-Language asks (RFC 9110, section 12.5.4) until the reader chooses one.
Flask-Babel writes dates in the language that is chosen here; texts come from `app.texts`, which the browser
has as well.
"""

from __future__ import annotations

from babel.core import negotiate_locale
from flask import Blueprint, Flask, Response, request, url_for
from flask_babel import Babel  # pyright: ignore[reportMissingTypeStubs]

from app import texts
from app.texts.compiling import script_texts, script_texts_version
from app.texts.markup import SPOKEN
from app.web.errors import not_found

blueprint = Blueprint("language", __name__)

MODES = ("student", "projector")
YEAR_SECONDS = 365 * 24 * 3600
IMMUTABLE = "public, max-age=31536000, immutable"


def add_languages(app: Flask) -> None:
    """Let templates and everything below a request speak the language of the request."""
    Babel(app, locale_selector=texts.language)
    app.jinja_env.globals.update(SPOKEN)  # pyright: ignore[reportUnknownMemberType]
    install = app.jinja_env.install_gettext_callables  # type: ignore[attr-defined]
    install(texts.gettext, texts.ngettext, newstyle=True)
    app.before_request(_choose)
    app.after_request(_remember)
    app.context_processor(_every_template)
    app.register_blueprint(blueprint)


@blueprint.get("/texts/<language>.json")
def scripts(language: str) -> Response:
    """Send what the page's scripts say in a language."""
    if language not in texts.LANGUAGES:
        raise not_found()
    response = Response(script_texts(language), mimetype="application/json")
    if request.args.get("v") == script_texts_version(language):
        response.headers["Cache-Control"] = IMMUTABLE
    return response


def script_texts_url() -> str:
    """Return where the page's scripts find what they say; "" where that is what is written in them."""
    language = texts.language()
    if language == texts.SOURCE:
        return ""
    return url_for("language.scripts", language=language, v=script_texts_version(language))


def _asked(name: str, known: tuple[str, ...]) -> str | None:
    """Return what the address or else a cookie asks for, if it is something that there is."""
    for value in (request.args.get("lang" if name == "language" else name), request.cookies.get(name)):
        if value in known:
            return value
    return None


def _choose() -> None:
    known = tuple(texts.LANGUAGES)
    wanted = request.accept_languages.values()
    chosen = _asked("language", known) or negotiate_locale(wanted, known, sep="-")
    texts.use(chosen or texts.SOURCE)


def _remember(response: Response) -> Response:
    """Keep in cookies what the address has asked for."""
    for name, argument, known in (("language", "lang", tuple(texts.LANGUAGES)), ("mode", "mode", MODES)):
        value = request.args.get(argument)
        if value is not None and value in known:
            response.set_cookie(name, value, max_age=YEAR_SECONDS, samesite="Lax")
    return response


def _every_template() -> dict[str, object]:
    return {
        "language": texts.language(),
        "languages": texts.LANGUAGES,
        "mode": _asked("mode", MODES) or MODES[0],
        "texts_url": script_texts_url(),
    }
