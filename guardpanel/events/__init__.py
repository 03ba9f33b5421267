"""What events are made of: their words, their texts and the file that keeps them.

Shared by the ingest, which writes the file, and by `services/events`, which reads it.
"""
