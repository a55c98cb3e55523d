package logql

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// durationUnits are the suffixes of durations, longest first where one begins
// another.
var durationUnits = []struct {
	name string
	unit time.Duration
}{
	{"ns", time.Nanosecond}, {"us", time.Microsecond}, {"µs", time.Microsecond}, {"μs", time.Microsecond},
	{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour},
	{"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}, {"y", 365 * 24 * time.Hour},
}

// parseDuration reads "1h30m", "1.5s", "300ms", "2d", "-5m".
func parseDuration(s string) (time.Duration, error) {
	orig := s
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, fmt.Errorf("%q is not a duration", orig)
	}
	total := 0.0
	for s != "" {
		i := 0
		for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
			i++
		}
		n, err := strconv.ParseFloat(s[:i], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration", orig)
		}
		s = s[i:]
		unit, rest, ok := cutUnit(s)
		if !ok {
			return 0, fmt.Errorf("%q is not a duration: units are ns, us, ms, s, m, h, d, w, y", orig)
		}
		s = rest
		total += n * float64(unit)
	}
	if total >= math.MaxInt64 {
		return 0, fmt.Errorf("duration %q is too long", orig)
	}
	if neg {
		total = -total
	}
	return time.Duration(math.Round(total)), nil
}

// cutUnit takes the unit at the start of s. A unit ends where a number begins
// or the text ends, so that "ms" is not read as "m".
func cutUnit(s string) (unit time.Duration, rest string, ok bool) {
	end := strings.IndexAny(s, "0123456789.")
	if end < 0 {
		end = len(s)
	}
	for _, u := range durationUnits {
		if s[:end] == u.name {
			return u.unit, s[end:], true
		}
	}
	return 0, s, false
}

// formatDuration writes a duration so that parseDuration reads it back exactly.
func formatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	if d < 0 {
		b.WriteByte('-')
		if d == math.MinInt64 {
			d++
		}
		d = -d
	}
	for _, u := range []struct {
		name string
		unit time.Duration
	}{
		{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second},
		{"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond},
	} {
		if n := d / u.unit; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.unit
		}
	}
	return b.String()
}

// byteUnits are decimal with "kb" and binary with "kib", as the documentation
// lists them; the bare letters are the decimal ones.
var byteUnits = map[string]float64{
	"": 1, "b": 1,
	"k": 1e3, "kb": 1e3, "ki": 1 << 10, "kib": 1 << 10,
	"m": 1e6, "mb": 1e6, "mi": 1 << 20, "mib": 1 << 20,
	"g": 1e9, "gb": 1e9, "gi": 1 << 30, "gib": 1 << 30,
	"t": 1e12, "tb": 1e12, "ti": 1 << 40, "tib": 1 << 40,
	"p": 1e15, "pb": 1e15, "pi": 1 << 50, "pib": 1 << 50,
	"e": 1e18, "eb": 1e18, "ei": 1 << 60, "eib": 1 << 60,
}

// parseBytes reads "5KB", "1.5 MiB", "42".
func parseBytes(s string) (float64, error) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.' || s[i] == ',') {
		i++
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(s[:i], ",", ""), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size in bytes", s)
	}
	unit := strings.TrimSpace(s[i:])
	f, ok := byteUnits[unit]
	if !ok {
		f, ok = byteUnits[strings.ToLower(unit)]
	}
	if !ok {
		return 0, fmt.Errorf("%q is not a size in bytes: units are b, kb, kib, mb, mib, gb, gib, tb, tib, pb, pib, eb, eib", s)
	}
	return math.Trunc(n * f), nil
}

// formatNumber writes a number literal.
func formatNumber(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
