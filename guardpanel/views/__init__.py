"""HTML adapters: read a request into an input type, call one service function, respond."""
