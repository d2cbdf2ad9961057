"""How Alembic runs the migrations: on the connection it is given."""

from __future__ import annotations

from alembic import context

from openforge.control.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=False,  # the caller's transaction holds all of it
)
context.run_migrations()
