"""The control database: what must be transactional. Only this package knows its SQL.

Projects, jobs, tokens, webhooks with their outbox, idempotency keys. Functions take an open
connection, so that a caller decides what is one transaction.
"""
