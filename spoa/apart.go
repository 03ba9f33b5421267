package main

import (
	"strings"

	"github.com/corazawaf/coraza/v3/collection"
)

// Coraza caches transformed values by the address of the value's name and its index among the rule's values
// (corazawaf/rulegroup.go, transformationKey). The order of a collection's names varies. So two values that share a
// name string are sometimes confused, and one of them is not inspected: of two cookies with the same name, an attack in
// the second passed 4 times in 100. Therefore each value gets its own copy of its name.

// ownName returns a copy of the name at another address. The extra letter gives the empty name an address, too.
func ownName(name string) string { return strings.Clone(name + "=")[:len(name)] }

// keepApart gives the values of a collection that Coraza filled their own names.
func keepApart(values collection.Map) {
	all := values.FindAll()
	times := make(map[string]int, len(all))
	for _, value := range all {
		times[value.Key()]++
	}
	if len(times) == len(all) {
		return
	}
	for name := range times {
		values.Remove(name)
	}
	for _, value := range all {
		values.Add(ownName(value.Key()), value.Value())
	}
}
