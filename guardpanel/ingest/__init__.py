"""`guardpanel ingest` reads what the WAF agent and HAProxy wrote into the event database. It is a separate process, so that a
flood of events delays neither saves nor pages. The panel works without it, and unread events wait in their files."""
