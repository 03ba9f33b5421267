// Load for the benchmarks of the whole stack (bench/data_path.py, bench/attack.py): a client that costs little itself, and a
// server that answers at once.
//
// Talks in JSON lines: says its server's port first, then answers each plan with a report.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
)

// longestPlan holds a body of some MiB in Base64.
const longestPlan = 64 << 20

func main() {
	log.SetFlags(0)
	out := json.NewEncoder(os.Stdout)
	say(out, map[string]int{"Server": serve()})
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, longestPlan)
	for in.Scan() {
		var plan Plan
		if err := json.Unmarshal(in.Bytes(), &plan); err != nil {
			log.Fatal(err)
		}
		say(out, plan.run())
	}
}

func say(out *json.Encoder, what any) {
	if err := out.Encode(what); err != nil {
		log.Fatal(err)
	}
}
