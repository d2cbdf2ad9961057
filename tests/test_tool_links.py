"""The project's files in the folder that a tool runs in."""

from openforge.tools import links


def test_project_files_are_seen_and_nothing_is_overwritten(tmp_path):
    """Files and folders are seen; hidden ones, the tool's own and existing ones are not touched."""
    project, folder = tmp_path / "project", tmp_path / "work"
    (project / "rtl").mkdir(parents=True)
    folder.mkdir()
    for name in ("rtl/rom.hex", "results.xml", "own", ".git"):
        (project / name).write_text("project")
    (folder / "own").write_text("tool")
    links.show(project, folder, without={"results.xml"})
    assert (folder / "rtl" / "rom.hex").read_text() == "project"
    assert (folder / "own").read_text() == "tool"
    assert sorted(path.name for path in folder.iterdir()) == ["own", "rtl"]
