"""From a blocked request to the change that lets it pass, and what became of it."""
