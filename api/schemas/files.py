"""The files of a project."""

from __future__ import annotations

from pydantic import Field

from api.schemas.common import MOMENT, PROJECT, Address, Answer, Moment, example

_FILE = {
    "name": "rtl/ntt_butterfly.v",
    "size_bytes": 2048,
    "modified_at": MOMENT,
    "url": f"/api/v1/projects/{PROJECT}/files/rtl/ntt_butterfly.v",
}


class Uploaded(Answer):
    """What was taken of an upload."""

    model_config = example(
        uploaded=3,
        project_id=PROJECT,
        files=["ntt_butterfly.v", "mod_reduce.v", "openforge.yaml"],
    )

    uploaded: int = Field(description="how many files; those in archives are counted singly")
    project_id: str = Field(description="the project that has them now")
    files: list[str] = Field(description="their names in the project, in order")


class ProjectFile(Answer):
    """A file of a project."""

    model_config = example(**_FILE)

    name: str = Field(description="its name in the project, with its folders")
    size_bytes: int = Field(description="how large it is")
    modified_at: Moment = Field(description="when it was uploaded")
    url: Address = Field(description="where it can be downloaded")


class ProjectFiles(Answer):
    """All files of a project."""

    model_config = example(project_id=PROJECT, files=[_FILE], total=1)

    project_id: str = Field(description="the project")
    files: list[ProjectFile] = Field(description="by name")
    total: int = Field(description="how many there are")
