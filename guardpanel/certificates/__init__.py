"""Certificates as such: read, judged, made, and kept with their sealed keys."""
