package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// alone is a memoizer for one operator.
type alone struct{}

func (alone) Do(_ string, make func() (any, error)) (any, error) { return make() }

// capturing is what an operator sees of a transaction.
type capturing struct {
	plugintypes.TransactionState
	wanted   bool
	captured map[int]string
}

func (c *capturing) Capturing() bool                     { return c.wanted }
func (c *capturing) CaptureField(index int, text string) { c.captured[index] = text }

// pair is a pattern's two operators, which must say the same.
type pair struct {
	pattern   string
	own, ours plugintypes.Operator
}

func newPair(pattern string, ours plugintypes.OperatorFactory) (pair, error) {
	options := plugintypes.OperatorOptions{Arguments: pattern, Memoizer: alone{}}
	own, err := newCorazaRX(options)
	if err != nil {
		return pair{}, err
	}
	other, err := ours(options)
	return pair{pattern, own, other}, err
}

// compare gives the difference in words, if there is one: in the verdict or in what is captured.
func (p pair) compare(value string) string {
	plain := &capturing{}
	want, got := p.own.Evaluate(plain, value), p.ours.Evaluate(plain, value)
	if want != got {
		return fmt.Sprintf("%q with %q: Coraza's own says %t", p.pattern, value, want)
	}
	if !want {
		return ""
	}
	first, second := &capturing{wanted: true, captured: map[int]string{}}, &capturing{wanted: true, captured: map[int]string{}}
	if !p.own.Evaluate(first, value) || !p.ours.Evaluate(second, value) || !maps.Equal(first.captured, second.captured) {
		return fmt.Sprintf("%q with %q: captures %v, Coraza's own %v", p.pattern, value, second.captured, first.captured)
	}
	return ""
}

// troubles are the bytes that engines read differently: not UTF-8, overlong, a surrogate, cut off, folding to ASCII letters
// (K, ſ), line ends, NUL, the replacement character itself.
var troubles = []string{
	"\xff", "\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xe2\x82", "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\u212a", "\u017f",
	"\u0130", "\u2028", "\ufeff", "\ufffd", "\r\n", "\n", "\x00", "\x0b", "\x85", "\u00a0", "´", "’",
}

// mutate puts up to three troubles into a value, or in place of a byte of it, or cuts it off.
func mutate(random *rand.Rand, value string) string {
	for range 1 + random.IntN(3) {
		at := random.IntN(len(value) + 1)
		after := min(len(value), at+random.IntN(2))
		value = value[:at] + troubles[random.IntN(len(troubles))] + value[after:]
	}
	if random.IntN(8) == 0 {
		value = value[:random.IntN(len(value)+1)]
	}
	return strings.NewReplacer("k", swap(random, "k", "\u212a"), "s", swap(random, "s", "\u017f")).Replace(value)
}

func swap(random *rand.Rand, usual, seldom string) string {
	if random.IntN(6) == 0 {
		return seldom
	}
	return usual
}

// differential has every pattern of the rule set asked about what rules see of CRS's test requests, as it is and mutated.
type differential struct {
	patterns, values []string
	random           *rand.Rand
}

// newDifferential records as many of CRS's requests as it takes for so many comparisons, in a random order.
func newDifferential(t *testing.T, wanted int) *differential {
	t.Helper()
	seed := numberFrom(t, "GUARDPANEL_RX_SEED", 1)
	t.Logf("GUARDPANEL_RX_SEED=%d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	into, application := record(t)
	defer application.retire()
	requests := crsRequests(t)
	random.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	for _, request := range requests {
		if len(into.values)*len(into.patterns)*2 > wanted {
			break
		}
		ask(t, application, request)
	}
	return &differential{slices.Sorted(maps.Keys(into.patterns)), slices.Sorted(maps.Keys(into.values)), random}
}

// run compares until it has compared so often, or has found so many differences.
func (d *differential) run(t *testing.T, wanted, most int, ours plugintypes.OperatorFactory) (compared int64, differences []string) {
	t.Helper()
	pairs := make([]pair, len(d.patterns))
	for at, pattern := range d.patterns {
		var err error
		if pairs[at], err = newPair(pattern, ours); err != nil {
			t.Fatal(err)
		}
	}
	var done atomic.Int64
	var mutex sync.Mutex
	var group sync.WaitGroup
	values := make(chan string)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for value := range values {
				for _, pair := range pairs {
					if found := pair.compare(value); found != "" {
						mutex.Lock()
						differences = append(differences, found)
						mutex.Unlock()
					}
				}
				done.Add(int64(len(pairs)))
			}
		})
	}
	enough := func() bool {
		mutex.Lock()
		defer mutex.Unlock()
		return done.Load() >= int64(wanted) || len(differences) >= most
	}
	for mutated := false; !enough(); mutated = true {
		for at := 0; at < len(d.values) && !enough(); at++ {
			value := d.values[at]
			if mutated {
				value = mutate(d.random, value)
			}
			values <- value
		}
	}
	close(values)
	group.Wait()
	return done.Load(), differences
}

// TestTheAutomatonSaysWhatCorazaSays: GUARDPANEL_RX_COMPARISONS sets how often (`make rx-differential`: 12 million).
func TestTheAutomatonSaysWhatCorazaSays(t *testing.T) {
	wanted := numberFrom(t, "GUARDPANEL_RX_COMPARISONS", 30_000)
	differential := newDifferential(t, wanted)

	compared, differences := differential.run(t, wanted, 20, newRX)

	t.Logf("%d patterns, %d values of CRS's tests, %d comparisons", len(differential.patterns), len(differential.values), compared)
	for _, difference := range differences {
		t.Error(difference)
	}
}

// planted is an operator that is wrong about some values.
type planted struct {
	plugintypes.Operator
	wrong func(value string) bool
}

func (p planted) Evaluate(transaction plugintypes.TransactionState, value string) bool {
	return p.Operator.Evaluate(transaction, value) && !p.wrong(value)
}

func TestTheComparisonSeesAWrongOperator(t *testing.T) {
	differential := newDifferential(t, 30_000)
	differential.patterns = differential.patterns[:60]
	for name, wrong := range map[string]func(string) bool{
		"not UTF-8, as RE2 has it": func(value string) bool { return strings.ToValidUTF8(value, "") != value },
		"the Kelvin sign":          func(value string) bool { return strings.Contains(value, "\u212a") },
		"the long s":               func(value string) bool { return strings.Contains(value, "\u017f") },
		"NUL":                      func(value string) bool { return strings.Contains(value, "\x00") },
	} {
		t.Run(name, func(t *testing.T) {
			_, differences := differential.run(t, 2_000_000, 1, func(options plugintypes.OperatorOptions) (plugintypes.Operator, error) {
				own, err := newRX(options)
				return planted{own, wrong}, err
			})
			if len(differences) == 0 {
				t.Error("nothing was noticed")
			}
		})
	}
}

func TestEveryPatternOfTheRuleSetHasAnAutomaton(t *testing.T) {
	into, application := record(t)
	defer application.retire()
	for pattern := range into.patterns {
		operator, err := newRX(plugintypes.OperatorOptions{Arguments: pattern, Memoizer: alone{}})
		if err != nil {
			t.Fatal(err)
		}
		if ours, ok := operator.(*rx); !ok || ours.automaton() == nil {
			t.Errorf("%q is left to Coraza's own", pattern)
		}
	}
}

func TestRulesCaptureAndRefuseAsBefore(t *testing.T) {
	if _, err := newRX(plugintypes.OperatorOptions{Arguments: "a(b", Memoizer: alone{}}); err == nil {
		t.Error("an unfinished group is taken")
	}
	pair, err := newPair(`(?i)(sel)(x)?(ect)`, newRX)
	if err != nil {
		t.Fatal(err)
	}
	state := &capturing{wanted: true, captured: map[int]string{}}
	if !pair.ours.Evaluate(state, "a SELect") || !maps.Equal(state.captured, map[int]string{0: "SELect", 1: "SEL", 2: "", 3: "ect"}) {
		t.Errorf("captured %v", state.captured)
	}
}

// FuzzRX: whatever the pattern and the value, both operators say the same.
func FuzzRX(f *testing.F) {
	for _, pattern := range []string{
		`(?i)\bk(?:s|ſ)\b`, `^a$`, `\Aa.c\z`, `(?m)^x|\By$`, `[^\x00-\x7f]{2,3}`, `\xac\xed\x00`, `(?:\x{e2}\x80[\x98\x99]|[!-\+])[^a]*?`,
		``, `a|`, `(a*)*b`, `(?U)a+?`, `\pL\d\s\v`, `(?-s).`, `(?i)[^k-s]`, "\ufffd", `.{0,40}x`,
	} {
		for _, trouble := range troubles {
			f.Add(pattern, "aK s\n"+trouble+"ſx")
		}
	}
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if pair, err := newPair(pattern, newRX); err == nil {
			if found := pair.compare(value); found != "" {
				t.Error(found)
			}
		}
	})
}

// TestStatesAreForgottenAtTheLimit: what has been learnt is bounded, and forgetting it changes nothing, also for those who
// are in the middle of a text.
func TestStatesAreForgottenAtTheLimit(t *testing.T) {
	const pattern = `[ab]*a[ab]{14}c`
	automaton := newAutomaton(pattern, false)
	reference := regexp.MustCompile(pattern)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 8 {
				text := []byte(strings.Repeat("a", 4_000))
				for at := range text {
					text[at] = "ab"[random.IntN(2)]
				}
				text[random.IntN(len(text))] = 'c'
				if got := automaton.match(string(text)); got != reference.Match(text) {
					t.Errorf("%t for %q", got, text)
				}
			}
		})
	}
	group.Wait()
	if bytes := automaton.states.Load().bytes(); bytes > statesLimit+1024 {
		t.Errorf("%d bytes of states", bytes)
	}
}
