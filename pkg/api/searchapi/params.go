package searchapi

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query/logql"
)

// params are a request's parameters.
type params struct {
	url.Values
	now time.Time
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{model.ErrInvalid}, args...)...)
}

// question reads what all endpoints share.
func (p params) question() (q logql.Question, err error) {
	q.Search = p.Get("q")
	if q.Start, err = p.time("start"); err != nil {
		return q, err
	}
	q.End, err = p.time("end")
	return q, err
}

// time reads "now", "now-15m", RFC 3339, or Unix seconds, milliseconds,
// microseconds or nanoseconds, told apart by the number of digits. Absent is the
// zero time.
func (p params) time(name string) (time.Time, error) {
	s := p.Get(name)
	if s == "" {
		return time.Time{}, nil
	}
	if rest, ok := strings.CutPrefix(s, "now"); ok {
		if rest == "" {
			return p.now, nil
		}
		if ago, ok := strings.CutPrefix(rest, "-"); ok {
			d, err := logql.ParseDuration(ago)
			if err != nil {
				return time.Time{}, invalid("parameter %s=%q: %v", name, s, err)
			}
			return p.now.Add(-d), nil
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > -maxTime && n < maxTime {
		switch digits := len(strings.TrimPrefix(s, "-")); {
		case digits <= 11:
			return time.Unix(n, 0), nil
		case digits <= 14:
			return time.UnixMilli(n), nil
		case digits <= 17:
			return time.UnixMicro(n), nil
		}
		return time.Unix(0, n), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Unix() > maxTime/1e9 || t.Unix() < -maxTime/1e9 {
		return time.Time{}, invalid("parameter %s=%q: expected now, now-15m, RFC 3339, or Unix seconds, milliseconds or nanoseconds", name, s)
	}
	return t, nil
}

// maxTime keeps Unix nanoseconds within what an int64 holds, with room.
const maxTime = 9_000_000_000_000_000_000

// count reads a number of things; absent is def.
func (p params) count(name string, def int) (int, error) {
	s := p.Get(name)
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1_000_000 {
		return 0, invalid("parameter %s=%q: expected a whole number from 0 to 1000000", name, s)
	}
	return n, nil
}

// names reads a list: repeated, or with commas.
func (p params) names(name string) (out []string) {
	for _, s := range p.Values[name] {
		for _, n := range strings.Split(s, ",") {
			if n = strings.TrimSpace(n); n != "" {
				out = append(out, n)
			}
		}
	}
	return out
}

func (p params) order() (predicate.Order, error) {
	switch s := strings.ToLower(p.Get("direction")); s {
	case "", "backward":
		return predicate.NewestFirst, nil
	case "forward":
		return predicate.OldestFirst, nil
	default:
		return 0, invalid("parameter direction=%q: expected backward (newest first) or forward", s)
	}
}

// cursorText is how a place between records travels: opaque to clients.
func cursorText(c *logql.Cursor) string {
	if c == nil {
		return ""
	}
	return strconv.FormatInt(c.Time, 10) + "." + strconv.FormatUint(c.Seq, 10)
}

func (p params) cursor(name string) (*logql.Cursor, error) {
	s := p.Get(name)
	if s == "" {
		return nil, nil
	}
	ns, seq, ok := strings.Cut(s, ".")
	t, err := strconv.ParseInt(ns, 10, 64)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	if !ok || err != nil || err2 != nil {
		return nil, invalid("parameter %s=%q is no place that an answer has named", name, s)
	}
	return &logql.Cursor{Time: t, Seq: n}, nil
}
