"""A virtual host's way to HTTPS: new certificates in its form, renewed and earlier ones, and doubts before a save."""
