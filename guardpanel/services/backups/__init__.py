"""Backup and restore: a whole installation in one file."""
