"""The page: a Flask application over the workers and the lessons."""

from __future__ import annotations

from flask import Flask, Response, jsonify, url_for

from app.paths import assets_version, static_dir
from app.web import archives, assets, borrowing, engine, labs, lessons, policies, report, sharing, stream
from app.web.context import build_context, context, current_student, set_session_cookie
from app.web.errors import add_error_handlers
from app.web.language import add_languages
from app.web.security import add_security
from app.web.settings import Settings, default_settings

__all__ = ["Settings", "create_app", "default_settings"]


def create_app(settings: Settings) -> Flask:
    """Return the application with its database open and its workers started; raise VmLabError.

    Close it with `app.extensions["vmlab"].close()`.
    """
    app = Flask("app.web", static_folder=str(static_dir()), static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_body_bytes
    app.config["MAX_FORM_PARTS"] = 500
    assets.add_assets(app)
    add_security(app)
    add_error_handlers(app)
    add_languages(app)
    app.after_request(set_session_cookie)
    app.context_processor(_every_template)
    for part in (lessons, report, labs, archives, borrowing, stream, engine, policies, sharing):
        app.register_blueprint(part.blueprint)
    app.add_url_rule("/healthz", view_func=health)
    app.extensions["vmlab"] = build_context(settings)
    return app


def health() -> tuple[Response, int]:
    """Say whether every worker is up."""
    pool = context().pool
    healthy = pool.alive() == len(pool)
    return jsonify(status="ok" if healthy else "degraded", workers=pool.alive()), 200 if healthy else 503


def _every_template() -> dict[str, object]:
    """Return what every template can use."""
    version = assets_version()

    def static_url(name: str) -> str:
        return url_for("static", filename=name, v=version) if version else url_for("static", filename=name)

    student = current_student()
    return {
        "static_url": static_url,
        "assets": version,
        "student": {"name": f"guest {student[:4]}"} if student else None,
    }
