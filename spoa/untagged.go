//go:build !coraza.rule.case_sensitive_args_keys

package main

// Without the tag, Coraza folds the case of argument names: of `q` and `Q` in a form, rules see only one, at random. So
// this does not compile: build with -tags coraza.rule.case_sensitive_args_keys (tools/go.sh does).
var _ = buildWithTheTag_coraza_rule_case_sensitive_args_keys
