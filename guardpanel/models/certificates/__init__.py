"""Certificates, client CAs, ACME accounts and orders, and a virtual host's HTTPS."""
