"""Certificates from ACME authorities: planned, ordered, proved, and put into use."""
