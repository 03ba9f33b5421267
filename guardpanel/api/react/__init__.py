"""The React panel's dialect: its names for our fields, its keys for what we lack, and what it says twice."""
