"""The archive for the browser has what its own modules and templates ask for."""

import io
import re
import zipfile

from app.desk.archive import python_archive

WANTED = re.compile(r"{%-? *(?:from|include|import|extends) \"([^\"]+)\"")
TEMPLATES = "app/web/templates/"
OF_PAGES = {"base.html"}  # whole pages are not drawn in the browser


def test_templates_that_templates_ask_for_travel_with_them() -> None:
    archive = zipfile.ZipFile(io.BytesIO(python_archive().data))
    names = {name.removeprefix(TEMPLATES) for name in archive.namelist() if name.startswith(TEMPLATES)}
    wanted = {one for name in names for one in WANTED.findall(archive.read(TEMPLATES + name).decode())}
    assert "_address.html" in wanted
    assert wanted - names <= OF_PAGES
