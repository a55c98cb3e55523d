package logql

import (
	"context"
	"strings"

	"braid/pkg/predicate"
)

// split is a count by a field that may be stored with a record or stand in its
// line only: `sum by (f) (count_over_time({…} | json | … | f != "" [5m]))`, as
// Logs Drilldown asks for every field. A stored field keeps its name from the
// parsers, so records that have it are counted at the source, and only those
// that lack it, and whose line may name it, are parsed.
type split struct {
	stored *pushed
	rest   predicate.Expr // what the rows to parse satisfy besides
}

// planSplit returns nil when a range function cannot be split so.
func planSplit(r *RangeAgg, needs *rangeNeeds) *split {
	names, grouped := needs.by(r)
	if !grouped || r.Unwrap != nil || r.Op != opCount && r.Op != opRate {
		return nil
	}
	field, ok := theField(names)
	if !ok {
		return nil
	}
	before, behind := cutAtParsers(r.Log.Stages)
	if behind == nil {
		return nil
	}
	pl := planSelection(&Selection{r.Log.Matchers, before})
	if pl.strict == nil || pl.probe != nil {
		return nil
	}
	conds, ok := storedConds(behind, field)
	if !ok {
		return nil
	}
	f := field.chain[0]
	has := predicate.Compare{Field: f, Op: predicate.Neq, Value: text(""), Loose: true}
	return &split{
		stored: &pushed{filter: predicate.AllOf(pl.strict, predicate.AllOf(conds...), has), by: NewGroupBy(names)},
		rest:   predicate.AllOf(predicate.Not{X: predicate.Exists{Field: f}}, mayName(field.under)),
	}
}

// theField returns the one label grouped by that is not of every record.
func theField(names []string) (ref labelRef, ok bool) {
	for _, n := range names {
		r := refOf(n)
		if r.under == labelLevel || r.under == labelService {
			continue
		}
		_, extracted := cutExtracted(r.under)
		if ok || extracted || len(r.chain) != 1 || r.def != "" || strings.HasPrefix(r.under, "__") {
			return ref, false
		}
		ref, ok = r, true
	}
	return ref, ok
}

// cutAtParsers cuts stages before the first parser; nil behind when there is
// none.
func cutAtParsers(stages []Stage) (before, behind []Stage) {
	for i, s := range stages {
		switch s.(type) {
		case *JSONParser, *LogfmtParser:
			return stages[:i], stages[i:]
		}
	}
	return stages, nil
}

// storedConds returns what the stages from the first parser on ask of a record
// that has the field stored; ok is false when they do more than parse, drop
// errors and compare the field, which must not be empty.
func storedConds(stages []Stage, field labelRef) (conds []predicate.Expr, ok bool) {
	clean, required := false, false
	for _, s := range stages {
		switch s := s.(type) {
		case *JSONParser:
			clean = false
			if len(s.Fields) > 0 {
				return nil, false
			}
		case *LogfmtParser:
			clean = false
			if len(s.Fields) > 0 {
				return nil, false
			}
		case *Drop:
			if !dropsOnlyErrors(s) {
				return nil, false
			}
			for _, it := range s.Items {
				clean = clean || it.Name == labelError
			}
		case *LineFilter:
			l := lowerLineFilter(s)
			if !l.exact {
				return nil, false
			}
			conds = append(conds, l.super)
		case *LabelFilter:
			c, isString := s.Cond.(CondString)
			if !isString || c.ref.under != field.under && c.ref.under != labelLevel && c.ref.under != labelService {
				return nil, false
			}
			required = required || c.ref.under == field.under && !c.Matches("")
			conds = append(conds, lowerMatcher(c.Matcher))
		default:
			return nil, false
		}
	}
	return conds, clean && required
}

// mayName: a line that a parser takes a label from has the parts of its name
// in it, or escapes that hide them.
func mayName(under string) predicate.Expr {
	var parts []predicate.Expr
	for _, word := range strings.Split(under, "_") {
		if word != "" {
			parts = append(parts, bodyContains(word))
		}
	}
	return anyOf(predicate.AllOf(parts...), bodyContains(`\`))
}

// splitRange counts both halves.
func (ev *evaluation) splitRange(ctx context.Context, s *split, r *RangeAgg, needs *rangeNeeds, w *window) (groups []*bucketed, done bool, err error) {
	stored, done, err := ev.aggregate(ctx, s.stored, r, needs, w)
	if err != nil || !done {
		return nil, false, err
	}
	parsed, err := ev.rows(ctx, r, needs, w, s.rest)
	if err != nil {
		return nil, false, err
	}
	byKey := map[string]*bucketed{}
	for _, b := range stored {
		byKey[b.labels.Key()] = b
	}
	for _, b := range parsed {
		if have := byKey[b.labels.Key()]; have != nil {
			joinBuckets(have, b)
		} else {
			stored = append(stored, b)
		}
	}
	return stored, true, nil
}
