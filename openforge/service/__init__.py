"""The service behind HTTP: a durable queue, worker processes, project files, webhooks."""
