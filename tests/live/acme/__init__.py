"""Certificates from pebble."""
