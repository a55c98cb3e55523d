package lokiapi

import (
	"cmp"
	"slices"
	"strings"

	"braid/pkg/predicate"
)

// The miner finds the templates behind lines in the manner of Drain (He, Zhu,
// Zheng, Lyu; ICWS 2017): lines go by their number of tokens and their first
// words to a small group of clusters, and join the most alike one when enough
// tokens agree; where they differ the template has <_>. Words with digits are
// taken for values from the start. The templates are patterns for |>.
const (
	wildcard = "<_>"
	// maxTokens bounds the tokens of a line looked at; the rest is one value.
	maxTokens = 96
	// maxLineBytes bounds the part of a line looked at.
	maxLineBytes = 4096
	// similarity is the least share of equal tokens to join a cluster.
	similarity = 0.6
	// maxGroupClusters and maxClusters bound the miner's memory; what does not
	// fit is counted in no template.
	maxGroupClusters = 64
	maxClusters      = 2000
)

// cluster is one template with its counts by level and time slice.
type cluster struct {
	tokens []string
	counts map[string][]int // by level
	total  int
}

func (c *cluster) template() string {
	var b strings.Builder
	for i, t := range c.tokens {
		if t == wildcard && i > 0 && c.tokens[i-1] == wildcard {
			continue
		}
		b.WriteString(t)
	}
	return b.String()
}

// groupKey leads a line to the clusters that it may join.
type groupKey struct {
	n     int
	first string
}

type miner struct {
	slices  int
	groups  map[groupKey][]*cluster
	n       int
	scratch []string
}

func newMiner(slices int) *miner { return &miner{slices: slices, groups: map[groupKey][]*cluster{}} }

// add counts a line of a level in a slice of time.
func (m *miner) add(line, level string, slice int) {
	m.scratch = tokenize(m.scratch[:0], line)
	if len(m.scratch) == 0 {
		return
	}
	key := groupKey{len(m.scratch), firstWord(m.scratch)}
	best, bestScore := (*cluster)(nil), 0.0
	for _, c := range m.groups[key] {
		if s := alike(c.tokens, m.scratch); s > bestScore {
			best, bestScore = c, s
		}
	}
	switch {
	case best != nil && bestScore >= similarity:
		for i, t := range m.scratch {
			if best.tokens[i] != t {
				best.tokens[i] = wildcard
			}
		}
	case m.n >= maxClusters || len(m.groups[key]) >= maxGroupClusters:
		return
	default:
		best = &cluster{tokens: slices.Clone(m.scratch), counts: map[string][]int{}}
		for i, t := range best.tokens {
			best.tokens[i] = strings.Clone(t)
		}
		m.groups[key] = append(m.groups[key], best)
		m.n++
	}
	if best.counts[level] == nil {
		best.counts[level] = make([]int, m.slices)
	}
	best.counts[level][slice]++
	best.total++
}

func firstWord(tokens []string) string {
	for _, t := range tokens {
		if len(t) > 1 || t != wildcard && predicate.WordByte(t[0]) {
			return t
		}
	}
	return ""
}

// alike is the share of equal words; separators count little, so that two
// lines of one format but different words stay apart.
func alike(a, b []string) float64 {
	equal, all := 0.0, 0.0
	for i := range a {
		weight := 1.0
		if len(a[i]) == 1 && !predicate.WordByte(a[i][0]) {
			weight = 0.05
		}
		if a[i] == wildcard {
			weight = 0.3
		}
		all += weight
		if a[i] == b[i] || a[i] == wildcard {
			equal += weight
		}
	}
	return equal / all
}

// tokenize cuts a line into words and the separators between them; words with
// digits become wildcards.
func tokenize(out []string, line string) []string {
	rest := ""
	if len(line) > maxLineBytes {
		line, rest = line[:maxLineBytes], wildcard
	}
	for i := 0; i < len(line); {
		start := i
		digit := false
		for i < len(line) && inWord(line, i) {
			digit = digit || line[i] >= '0' && line[i] <= '9'
			i++
		}
		if i > start {
			if digit {
				out = append(out, wildcard)
			} else {
				out = append(out, line[start:i])
			}
		}
		for i < len(line) && !inWord(line, i) {
			if line[i] == '<' { // would read as a capture in a pattern
				out = append(out, wildcard)
			} else {
				out = append(out, line[i:i+1])
			}
			i++
		}
		if len(out) >= maxTokens {
			return append(out[:maxTokens], wildcard)
		}
	}
	if rest != "" {
		out = append(out, rest)
	}
	return out
}

// inWord reports whether a byte goes on with a word: letters and digits, and
// what joins the parts of numbers, times, paths and addresses.
func inWord(s string, i int) bool {
	c := s[i]
	if predicate.WordByte(c) {
		return true
	}
	inside := i > 0 && i+1 < len(s) && predicate.WordByte(s[i-1]) && predicate.WordByte(s[i+1])
	switch c {
	case '.', '-', '+':
		return inside
	case ':':
		return inside && s[i-1] >= '0' && s[i-1] <= '9'
	}
	return false
}

// clusters returns the templates, most frequent first.
func (m *miner) clusters() []*cluster {
	var out []*cluster
	for _, g := range m.groups {
		out = append(out, g...)
	}
	slices.SortFunc(out, func(a, b *cluster) int {
		return cmp.Or(cmp.Compare(b.total, a.total), strings.Compare(a.template(), b.template()))
	})
	return out
}
