"""From a blocked request to the change that lets it pass, and the outcome."""
