package logstore

import (
	"sync"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// streamValues are what the streams of a table have of one field. Immutable.
type streamValues struct {
	codes  []uint32      // by stream: place in values, 0 when it lacks the field
	has    []bool        // by stream
	values []model.Value // the different ones; the first stands for none
	every  bool          // each stream has it
}

// maxStreamValues bounds what is remembered of a table: streams times fields.
const maxStreamValues = 64 << 10

// knownFields remembers the values of fields that queries asked the streams of a
// table for: asking thousands of streams anew costs more than most queries.
// Streams are only added. Safe for concurrent use.
type knownFields struct {
	mu    sync.Mutex
	known map[predicate.Field]*streamValues // guarded by mu
	size  int                               // of known, streams times fields
}

// of returns the values of a field in streams; they are the ones asked for
// before, or these and some behind them.
func (f *knownFields) of(field predicate.Field, streams []stream) *streamValues {
	f.mu.Lock()
	known := f.known[field]
	f.mu.Unlock()
	if known != nil && len(known.codes) == len(streams) {
		return known
	}
	v := valuesOf(field, streams)
	f.mu.Lock()
	defer f.mu.Unlock()
	old := 0
	if known = f.known[field]; known != nil {
		old = len(known.codes)
	}
	if n := f.size + len(streams) - old; len(streams) >= old && n <= maxStreamValues {
		if f.known == nil {
			f.known = map[predicate.Field]*streamValues{}
		}
		f.known[field], f.size = v, n
	}
	return v
}

func valuesOf(field predicate.Field, streams []stream) *streamValues {
	v := &streamValues{codes: make([]uint32, len(streams)), has: make([]bool, len(streams)), values: make([]model.Value, 1), every: true}
	codes := map[model.Value]uint32{}
	for i, s := range streams {
		row := predicate.LogRow{LogRow: &model.LogRow{Resource: s.resource, Scope: s.scope}}
		row.Lookup(field, func(x model.Value) bool {
			code, ok := codes[x]
			if !ok {
				code = uint32(len(v.values))
				v.values = append(v.values, x)
				codes[x] = code
			}
			v.codes[i], v.has[i] = code, true
			return false
		})
		v.every = v.every && v.has[i]
	}
	return v
}

// streamTest is a leaf tried on the streams of a table.
type streamTest struct {
	field      predicate.Field
	has, pass  []bool // by stream
	some       bool   // a stream has it
	all, never bool   // all streams have it, and pass; and do not pass
	values     *streamValues
}

func (s *streamTest) run(t *table, l leaf) {
	v := t.fields.of(s.field, t.streams)
	s.values, s.has, s.pass = v, v.has, make([]bool, len(v.has))
	pass, passing := make([]bool, len(v.values)), 0
	for i := 1; i < len(v.values); i++ {
		if pass[i] = l.holds(v.values[i]); pass[i] {
			passing++
		}
	}
	for i, c := range v.codes {
		s.pass[i] = pass[c]
	}
	s.some = len(v.values) > 1
	s.all = s.some && v.every && passing == len(v.values)-1
	s.never = v.every && passing == 0
}

// value returns what a stream has.
func (s *streamTest) value(stream uint64) model.Value { return s.values.values[s.values.codes[stream]] }
