"""Rule overrides, rule exclusions and custom rules, and the SecLang they become."""
