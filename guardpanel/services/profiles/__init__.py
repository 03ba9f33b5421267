"""Application profiles: ready sets of rule exclusions for one application (docs/profiles.md)."""
