"""Addresses of the project in the metadata of its package."""

from __future__ import annotations

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Addresses(MetadataHookInterface):
    """Derive the addresses of the package from that of its repository.

    The repository is named once, in ``[tool.hatch.metadata.hooks.custom]`` of
    ``pyproject.toml``.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the addresses that package indexes show."""
        repository = self.config["repository"].rstrip("/")
        metadata["urls"] = {
            "Repository": repository,
            "Documentation": f"{repository}/tree/main/docs",
            "Issues": f"{repository}/issues",
            "Changelog": f"{repository}/blob/main/CHANGELOG.md",
        }
