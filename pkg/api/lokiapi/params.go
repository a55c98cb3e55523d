package lokiapi

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/query/logql"
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{model.ErrInvalid}, args...)...)
}

// parseTime reads a Unix time as integer nanoseconds, as seconds (up to ten
// digits, or with a fraction), or RFC 3339.
func parseTime(name, s string) (time.Time, error) {
	if strings.Contains(s, ".") || strings.ContainsAny(s, "eE") {
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(f) && math.Abs(f) < 9e9 {
			sec, frac := math.Modf(f)
			return time.Unix(int64(sec), int64(math.Round(frac*1e3)*1e6)), nil
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if len(strings.TrimPrefix(s, "-")) <= 10 {
			return time.Unix(n, 0), nil
		}
		if n > maxTime || n < -maxTime {
			return time.Time{}, invalid("parameter %s=%q lies outside the years 1684 to 2255", name, s)
		}
		return time.Unix(0, n), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, invalid("parameter %s=%q is no time: expected Unix nanoseconds, Unix seconds or RFC 3339", name, s)
	}
	if s := t.Unix(); s > maxTime/1e9 || s < -maxTime/1e9 {
		return time.Time{}, invalid("parameter %s=%q lies outside the years 1684 to 2255", name, t.UTC().Format(time.RFC3339))
	}
	return t, nil
}

// maxTime keeps Unix nanoseconds within what an int64 holds, with room.
const maxTime = 9_000_000_000_000_000_000

func timeParam(r *http.Request, name string, def time.Time) (time.Time, error) {
	s := r.Form.Get(name)
	if s == "" {
		return def, nil
	}
	return parseTime(name, s)
}

// durationParam reads "5m", "5000ms" or seconds.
func durationParam(r *http.Request, name string, def time.Duration) (time.Duration, error) {
	s := r.Form.Get(name)
	if s == "" {
		return def, nil
	}
	return parseDuration(name, s)
}

func parseDuration(name, s string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if ns := f * 1e9; !math.IsNaN(ns) && math.Abs(ns) < math.MaxInt64 {
			return time.Duration(ns), nil
		}
		return 0, invalid("parameter %s=%q is too long", name, s)
	}
	d, err := logql.ParseDuration(s)
	if err != nil {
		return 0, invalid("parameter %s: %v", name, err)
	}
	return d, nil
}

func intParam(r *http.Request, name string, def int) (int, error) {
	s := r.Form.Get(name)
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, invalid("parameter %s=%q is no whole number of at least 0", name, s)
	}
	return n, nil
}

// timeRange reads start, end and since; the default is the last def.
func (a *api) timeRange(r *http.Request, def time.Duration) (start, end time.Time, err error) {
	now := a.Now()
	if end, err = timeParam(r, "end", now); err != nil {
		return
	}
	since, err := durationParam(r, "since", def)
	if err != nil {
		return
	}
	from := end
	if end.After(now) {
		from = now
	}
	if start, err = timeParam(r, "start", from.Add(-since)); err != nil {
		return
	}
	if end.Before(start) {
		err = invalid("end %s lies before start %s", end.UTC().Format(time.RFC3339Nano), start.UTC().Format(time.RFC3339Nano))
	}
	return
}

// modelRange is [start, end), never the zero value that means all time.
func modelRange(start, end time.Time) model.TimeRange {
	tr := model.TimeRange{Start: start.UnixNano(), End: end.UnixNano()}
	if tr.All() {
		tr.End = 1
	}
	return tr
}

func direction(r *http.Request) (logql.Direction, error) {
	switch s := r.Form.Get("direction"); strings.ToUpper(s) {
	case "", "BACKWARD":
		return logql.Backward, nil
	case "FORWARD":
		return logql.Forward, nil
	default:
		return 0, invalid("parameter direction=%q: expected forward or backward", s)
	}
}

// defaultStep makes about 250 points, at least a second apart.
func defaultStep(start, end time.Time) time.Duration {
	return max(end.Sub(start).Truncate(time.Second)/250/time.Second*time.Second, time.Second)
}

// categorize reports whether the client asks for labels told apart.
func categorize(r *http.Request) bool {
	for _, h := range r.Header.Values("X-Loki-Response-Encoding-Flags") {
		for _, f := range strings.Split(h, ",") {
			if strings.TrimSpace(f) == flagCategorize {
				return true
			}
		}
	}
	return false
}

const flagCategorize = "categorize-labels"
