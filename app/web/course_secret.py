"""The secret that students' numbers follow from: of the environment, or made once and kept with the data."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from app.web.store.database import StoreError

VARIABLE = "VMLAB_COURSE_SECRET"
FILE = "course-secret"
SHORTEST = 16


def course_secret(data: Path, variable: str = "") -> bytes:
    """Return the secret; raise StoreError if the one that is given is too short or cannot be kept."""
    variable = variable or VARIABLE
    given = os.environ.get(variable, "")
    if given:
        if len(given) < SHORTEST:
            raise StoreError(f"${variable} has {len(given)} characters; must have {SHORTEST} or more")
        return given.encode()
    path = data / FILE
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}; choose another --data") from error
    return path.read_bytes()
