//go:build !plain_rx

package main

import "github.com/corazawaf/coraza/v3/experimental/plugins"

// Benchmarks build an agent without ours (`-tags plain_rx`), to compare whole stacks.
func init() { plugins.RegisterOperator("rx", newRX) }
