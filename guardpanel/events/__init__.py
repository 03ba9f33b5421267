"""What events consist of: their vocabulary, their texts and the database that stores them. Shared by the ingest, which writes it,
and by `services/events`, which reads it."""
