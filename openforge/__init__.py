"""OpenForge: verification of cryptographic hardware, each verdict an executed notebook."""

from __future__ import annotations

__version__ = "0.1.0"
