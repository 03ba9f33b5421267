"""The OWASP Core Rule Set's own regression tests through the whole stack: client, HAProxy, agent, server."""
