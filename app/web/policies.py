"""What can be written as a policy, for the page. Nothing of a student's is run here."""

from __future__ import annotations

from functools import cache

from flask import Blueprint, Response, jsonify

from app.desk.policies import catalog
from app.web.context import context
from emulator.tournament import SCENARIOS
from emulator.tournament.board import read_board

blueprint = Blueprint("policies", __name__, url_prefix="/policies")


@blueprint.get("/catalog")
def show_catalog() -> Response:
    """Return interfaces with docs and starters, scenarios, and built-in policies."""
    response = Response(_catalog(), mimetype="application/json")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@blueprint.get("/board/<name>")
def show_board(name: str) -> Response:
    """Return the best of the class on a scenario, `entries` null while the instructor hides them."""
    return jsonify(entries=read_board(context().settings.data, name) if name in SCENARIOS else None)


@cache
def _catalog() -> bytes:
    return jsonify(catalog()).data
