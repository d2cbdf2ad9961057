"""The tables of the control database; `migrations` makes them.

Times are RFC 3339 in UTC with milliseconds, or, where they are computed with, seconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

METADATA = MetaData()

projects = Table(
    "projects",
    METADATA,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("name", String, nullable=False),
    Column("top_module", String),
    Column("target_pdk", String),
    Column("description", Text, nullable=False),
    Column("revision", Integer, nullable=False),  # of its files; 0: nothing was uploaded yet
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Column("deleted_at", String),
)
Index(
    "one_name_an_owner",
    projects.c.owner,
    projects.c.name,
    unique=True,
    sqlite_where=text("deleted_at IS NULL"),
    postgresql_where=text("deleted_at IS NULL"),
)

jobs = Table(
    "jobs",
    METADATA,
    Column("id", String, primary_key=True),
    Column("project_id", String, ForeignKey("projects.id"), nullable=False),
    Column("owner", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("status", String, nullable=False),  # the one word for users
    Column("stages", Text, nullable=False),  # JSON list, in flow order
    Column("stage_set", String, nullable=False),  # the same as one word, to find alike jobs
    Column("overrides", Text, nullable=False),  # JSON
    Column("files_sha256", String, nullable=False),
    Column("retry_of", String),
    Column("submitted_at", String, nullable=False),
    Column("started_at", String),
    Column("finished_at", String),
    Column("duration_s", Float),
    Column("estimate_s", Float),
    Column("attempt", Integer, nullable=False),  # how often it was started
    Column("crashes", Integer, nullable=False),  # how often its runner went away
    Column("cancel_asked", Boolean, nullable=False),
    Column("error", Text, nullable=False),
)
Index("jobs_of_project", jobs.c.project_id, jobs.c.submitted_at)
Index("jobs_of_owner", jobs.c.owner, jobs.c.submitted_at)

stages = Table(
    "stages",
    METADATA,
    Column("job_id", String, ForeignKey("jobs.id"), primary_key=True),
    Column("stage", String, primary_key=True),
    Column("status", String, nullable=False),
    Column("duration_s", Float, nullable=False),
)

tokens = Table(
    "tokens",
    METADATA,
    Column("id", String, primary_key=True),
    Column("hash", String, nullable=False, unique=True),  # SHA-256 of the token
    Column("prefix", String, nullable=False),  # its first characters, to tell tokens apart
    Column("name", String, nullable=False),
    Column("user", String, nullable=False),
    Column("scopes", String, nullable=False),  # words with blanks between
    Column("project_id", String, ForeignKey("projects.id")),
    Column("created_at", String, nullable=False),
    Column("expires_at", String),
    Column("last_used_at", String),
    Column("revoked_at", String),
)

webhooks = Table(
    "webhooks",
    METADATA,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("project_id", String, ForeignKey("projects.id")),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),  # JSON list
    Column("secret", LargeBinary, nullable=False),  # encrypted
    Column("active", Boolean, nullable=False),
    Column("inactive_reason", Text, nullable=False),
    Column("failing_since", Float),
    Column("created_at", String, nullable=False),
    Column("deleted_at", String),
)

deliveries = Table(  # the outbox
    "deliveries",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),  # the webhook-id header
    Column("webhook_id", String, ForeignKey("webhooks.id"), nullable=False, index=True),
    Column("job_id", String),
    Column("event", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String, nullable=False),  # pending, delivered, failed
    Column("attempts", Integer, nullable=False),  # since it was queued, or asked for again
    Column("next_at", Float, nullable=False),
    Column("created_at", String, nullable=False),
)
Index("deliveries_due", deliveries.c.state, deliveries.c.next_at)

attempts = Table(
    "attempts",
    METADATA,
    Column("delivery_id", String, ForeignKey("deliveries.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("status_code", Integer),
    Column("error", Text, nullable=False),
    Column("duration_s", Float, nullable=False),
)

idempotency = Table(
    "idempotency",
    METADATA,
    Column("user", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("fingerprint", String, nullable=False),
    Column("seed", String, nullable=False),  # from which the ids of what is made follow
    Column("created_at", Float, nullable=False, index=True),
    Column("status", Integer),  # None until it is answered
    Column("answer", LargeBinary),  # encrypted: it may show a new token
)
