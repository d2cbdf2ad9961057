"""Projects and their files."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.common import MOMENT, PROJECT, Address, Answer, Body, Moment, absent, example

NAME = r"^[A-Za-z0-9][A-Za-z0-9-]*$"
Name = Annotated[str, StringConstraints(pattern=NAME, min_length=1, max_length=100)]
Module = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$", max_length=1000)]
Text = Annotated[str, StringConstraints(max_length=10_000)]

_PROJECT = {
    "id": PROJECT,
    "name": "ntt-butterfly",
    "top_module": "ntt_butterfly",
    "target_pdk": "sky130",
    "description": "NTT butterfly unit for ML-KEM",
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "status": "created",
    "url": f"/api/v1/projects/{PROJECT}",
}


class Pdk(StrEnum):
    """A process that the design is made for."""

    SKY130 = "sky130"
    GF180MCU = "gf180mcu"
    IHP_SG13G2 = "ihp-sg13g2"
    GF22FDX = "gf22fdx"


class ProjectStatus(StrEnum):
    """`created` until files are uploaded, `active` from then on."""

    CREATED = "created"
    ACTIVE = "active"


class ProjectSort(StrEnum):
    """Order of a list: moments newest first, names from A to Z; `-` reverses."""

    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    NAME = "name"
    CREATED_AT_REVERSED = "-created_at"
    UPDATED_AT_REVERSED = "-updated_at"
    NAME_REVERSED = "-name"


class ProjectCreate(Body):
    """A new project."""

    model_config = ConfigDict(use_enum_values=True) | example(
        name="ntt-butterfly",
        top_module="ntt_butterfly",
        target_pdk="sky130",
        description="NTT butterfly unit for ML-KEM",
    )

    name: Name = Field(description="letters, digits, hyphens; one project of a user has it")
    top_module: Module | None = Field(None, description="top module; the project file's, if not")
    target_pdk: Annotated[Pdk, Field(strict=False)] | None = Field(None, description="process")
    description: Text = Field("", description="for people")


class ProjectUpdate(Body):
    """What is to be changed of a project; what is not named stays."""

    model_config = ConfigDict(use_enum_values=True) | example(
        description="NTT butterfly unit for ML-KEM, pipelined"
    )

    name: Name = absent("a new name", default="")
    top_module: Module | None = absent("top module of the next jobs; null: the project file's")
    target_pdk: Annotated[Pdk, Field(strict=False)] | None = absent(
        "process; null: the project file's"
    )
    description: Text = absent("for people", default="")


class Project(Answer):
    """A project."""

    model_config = example(**_PROJECT)

    id: str = Field(description="names the project in addresses")
    name: str = Field(description="letters, digits, hyphens; one project of a user has it")
    top_module: str | None = Field(description="top module; null: the project file's")
    target_pdk: Pdk | None = Field(description="process; null: none was named")
    description: str = Field(description="for people")
    created_at: Moment = Field(description="when it was created")
    updated_at: Moment = Field(description="when it or its files were changed last")
    status: ProjectStatus
    url: Address = Field(description="where it is")


class Projects(Answer):
    """A page of projects."""

    model_config = example(projects=[_PROJECT], total=42, page=1, per_page=20)

    projects: list[Project] = Field(description="those of this page")
    total: int = Field(description="on all pages")
    page: int = Field(description="this page, from 1")
    per_page: int = Field(description="how many a page has")
