"""The HTTP service of OpenForge: HTTP in, HTTP out, no verification logic."""
