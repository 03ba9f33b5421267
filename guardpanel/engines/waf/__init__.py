"""The WAF agent, ours or coraza-spoa: its binary, files, checks, verdicts and rule set."""
