"""Compares what really runs, on disk and in the engines, with what should, continuously, and reports it."""
