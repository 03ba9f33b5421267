"""`guardpanel ingest`: reads what the WAF agent and HAProxy wrote into the file of events. A process of its own, so that a
flood of events delays no save and no page; the panel works without it, and what is written meanwhile waits in its files.
"""
