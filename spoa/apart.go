package main

import (
	"strings"

	"github.com/corazawaf/coraza/v3/collection"
)

// Coraza keeps what transformations make of a value by where the value's name stands in memory and which one it is among
// those that the rule looks at (corazawaf/rulegroup.go, transformationKey). The names of a collection come in another order
// each time. So two values whose names are one string in memory are now and then taken for each other, and one of them is not
// looked at: of two cookies of one name, an attack in the second passed 4 times in 100. Each value has a name of its own.

// ownName is the same name in another place; the letter after it gives the empty one a place, too.
func ownName(name string) string { return strings.Clone(name + "=")[:len(name)] }

// keepApart gives the values of a collection that Coraza filled names of their own.
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
