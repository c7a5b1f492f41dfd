"""An author's files are read and written whole, and nothing beside them can be reached."""

from pathlib import Path

import pytest

from app.lessons.workspace import FileChanged, Workspace, WorkspaceError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A lesson's directory with three files."""
    directory = tmp_path / "01-mine"
    (directory / "guest").mkdir(parents=True)
    (directory / "lesson.md").write_text("# text\r\nsecond\n", newline="")
    (directory / "guest/hello.s").write_text("_start: wfi\n")
    (directory / "guest/old.elf").write_bytes(b"\x7fELF")
    return directory


def test_files_are_listed_text_first(root: Path) -> None:
    work = Workspace(root)
    work.write("wrong/too-early.yaml", "steps: []\n", "")
    assert work.names() == ["lesson.md", "guest/hello.s", "wrong/too-early.yaml"]


def test_a_file_is_written_only_over_the_version_it_was_made_from(root: Path) -> None:
    work = Workspace(root)
    first = work.read("guest/hello.s")
    second = work.write("guest/hello.s", "_start: j _start\n", first.digest)
    with pytest.raises(FileChanged, match="changed elsewhere"):
        work.write("guest/hello.s", "mine\n", first.digest)
    assert work.read("guest/hello.s").text == "_start: j _start\n"
    work.delete("guest/hello.s", second)
    with pytest.raises(FileChanged, match="deleted elsewhere"):
        work.write("guest/hello.s", "mine\n", second)
    with pytest.raises(FileChanged, match="exists already"):
        work.write("lesson.md", "new\n", "")


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "guest/../lesson.md", "guest/old.elf", "guest/a/b.s", "wrong/x.s", "",
     ".git/config", "solution/other.yaml", "guest/hello.s\n"],
)  # fmt: skip
def test_other_files_are_out_of_reach(root: Path, name: str) -> None:
    work = Workspace(root)
    with pytest.raises(WorkspaceError, match="no file of a lesson"):
        work.read(name)
    with pytest.raises(WorkspaceError, match="no file of a lesson"):
        work.write(name, "text", "")


def test_a_link_out_of_the_lesson_is_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (root / "guest/link.s").symlink_to(tmp_path / "secret")
    (root / "wrong").symlink_to(tmp_path)
    work = Workspace(root)
    with pytest.raises(WorkspaceError, match="outside the lesson"):
        work.read("guest/link.s")
    with pytest.raises(WorkspaceError, match="outside the lesson"):
        work.write("wrong/new.yaml", "text", "")
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.parametrize("text", ["\udc80", "a\u202eb", "x" * (513 * 1024), "nul\0"])
def test_text_that_could_not_be_read_again_is_refused(root: Path, text: str) -> None:
    with pytest.raises(WorkspaceError):
        Workspace(root).write("guest/new.s", text, "")
    assert not (root / "guest/new.s").exists()


def test_the_lesson_itself_cannot_be_deleted(root: Path) -> None:
    work = Workspace(root)
    with pytest.raises(WorkspaceError, match="cannot be deleted"):
        work.delete("lesson.md", work.read("lesson.md").digest)
