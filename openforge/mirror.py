"""A project on a service, made equal to a folder here before a job is submitted."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from openforge import bundle, config, snapshot
from openforge.client import Client
from openforge.client_answer import Answered
from openforge.client_records import Project
from openforge.errors import OpenForgeError
from openforge.schema import ProjectSection


def send(client: Client, project_dir: Path, settings: config.Config) -> tuple[Project, str]:
    """The service's project of that name, with exactly the files that a local job would see.

    It is made if the user has none of that name. Files that are not there any more are deleted: a
    test that was removed here must not be run there. Raises OpenForgeError as a local job does, and
    when the service does not take the files as they are.

    The text that comes with it is the digest of those files: another client may change the project
    at the same time, so a job on it is about them only if its digest is the same.
    """
    with (
        tempfile.TemporaryDirectory(prefix=".openforge-") as scratch,
        tempfile.TemporaryFile() as archive,
    ):
        copy = Path(scratch, "project")
        snapshot.take(project_dir, copy)
        snapshot.require_same(project_dir, copy, config.patterns(settings))
        said = config.load(copy).project
        names = bundle.pack(copy, archive)
        project = _find(client, said)
        digest = bundle.digest(archive)
        _replace(client, project.id, archive, names)
    if project.target_pdk and not said.target_pdk:  # an upload adds this, and never takes it away
        client.change_project(project.id, {"target_pdk": None})
    return project, digest


def _find(client: Client, said: ProjectSection) -> Project:
    """The user's project of that name, made if need be.

    It is made first and looked for then: an administrator sees the projects of all users, and only
    the answer to this tells whether one is the user's own.
    """
    fields = ("name", "top_module", "target_pdk", "description")
    try:
        return client.create_project({field: getattr(said, field) for field in fields})
    except Answered as error:
        if error.status not in (403, 409):  # 403: the token is for one project
            raise
        found = [p for p in client.projects(2, name=said.name) if p.name == said.name]
        if len(found) > 1:
            raise OpenForgeError(
                f"this token sees several projects called {said.name} at {client.url}; use one of "
                "the user whose project is meant"
            ) from None
        if not found:
            raise
        return found[0]


def _replace(client: Client, project_id: str, archive: BinaryIO, names: Iterable[str]) -> None:
    """Make `archive`, which holds `names`, all that the project has."""
    mine = {unicodedata.normalize("NFC", name) for name in names}  # as a service keeps them
    for name in _in_the_way(client.files(project_id), mine):
        client.delete_file(project_id, name)
    taken = set(client.upload(project_id, archive))
    if taken != mine:
        odd = min(taken ^ mine)
        raise OpenForgeError(f"the service at {client.url} did not take all files: {odd!a}")
    for name in client.files(project_id):
        if name not in mine:
            client.delete_file(project_id, name)


def _in_the_way(there: Iterable[str], mine: set[str]) -> list[str]:
    """Files that are now a folder, or in a folder that is now a file."""
    folders = {str(folder) for name in mine for folder in PurePosixPath(name).parents}
    return [
        name
        for name in there
        if name in folders or any(str(p) in mine for p in PurePosixPath(name).parents)
    ]
