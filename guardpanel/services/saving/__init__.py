"""The one path of every save: confirm, validate, render, check, record, deploy and verify."""
