"""Certificates that are served: HAProxy's default one, the panel's own, and the handshake that proves them."""
