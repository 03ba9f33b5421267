"""The React panel's dialect: its names for our fields, keys for features that we lack, and keys that duplicate others."""
