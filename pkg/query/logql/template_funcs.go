package logql

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/grafana/regexp"
)

// funcs are the functions that the language documents for templates.
func (s *templateState) funcs() texttemplate.FuncMap {
	m := texttemplate.FuncMap{
		"__line__": s.line, "__timestamp__": s.timestamp, tickFunc: s.tick,
		"now":             func() time.Time { return time.Now() },
		"regexReplaceAll": s.regexReplaceAll, "regexReplaceAllLiteral": s.regexReplaceAllLiteral, "count": s.countMatches,
	}
	for _, set := range []texttemplate.FuncMap{textFuncs, numberFuncs, timeFuncs} {
		for k, v := range set {
			m[k] = v
		}
	}
	return m
}

var textFuncs = texttemplate.FuncMap{
	"ToLower": strings.ToLower, "ToUpper": strings.ToUpper, "lower": strings.ToLower, "upper": strings.ToUpper,
	"Title": title, "title": title,
	"Replace": strings.Replace, "replace": func(old, new, s string) (string, error) { return boundedReplace(s, old, new) },
	"Trim": strings.Trim, "TrimLeft": strings.TrimLeft, "TrimRight": strings.TrimRight,
	"TrimPrefix": strings.TrimPrefix, "TrimSuffix": strings.TrimSuffix, "TrimSpace": strings.TrimSpace,
	"trim":       strings.TrimSpace,
	"trimAll":    func(cut, s string) string { return strings.Trim(s, cut) },
	"trimPrefix": func(p, s string) string { return strings.TrimPrefix(s, p) },
	"trimSuffix": func(p, s string) string { return strings.TrimSuffix(s, p) },
	"trunc":      trunc, "substr": substr,
	"contains":  func(sub, s string) bool { return strings.Contains(s, sub) },
	"hasPrefix": func(p, s string) bool { return strings.HasPrefix(s, p) },
	"hasSuffix": func(p, s string) bool { return strings.HasSuffix(s, p) },
	"repeat":    repeat, "indent": indent,
	"nindent":   func(n int, s string) (string, error) { out, err := indent(n, s); return "\n" + out, err },
	"alignLeft": func(n int, s string) (string, error) { return align(n, s, false) }, "alignRight": func(n int, s string) (string, error) { return align(n, s, true) },
	"urlencode": url.QueryEscape, "urldecode": url.QueryUnescape,
	"b64enc": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"b64dec": func(s string) (string, error) {
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
		return string(b), err
	},
	"default": func(def string, given ...any) any {
		if len(given) == 0 || given[0] == nil || reflect.ValueOf(given[0]).IsZero() {
			return def
		}
		return given[0]
	},
	"fromJson": fromJSON,
}

var numberFuncs = texttemplate.FuncMap{
	"int": toInt, "float64": toFloat,
	"add": func(i ...any) int64 { return foldInt(i, func(a, b int64) int64 { return a + b }) },
	"sub": func(a, b any) int64 { return toInt(a) - toInt(b) },
	"mul": func(a any, v ...any) int64 {
		return foldInt(append([]any{a}, v...), func(a, b int64) int64 { return a * b })
	},
	"div": divInt,
	"mod": modInt,
	"max": func(a any, v ...any) int64 {
		return foldInt(append([]any{a}, v...), func(a, b int64) int64 { return max(a, b) })
	},
	"min": func(a any, v ...any) int64 {
		return foldInt(append([]any{a}, v...), func(a, b int64) int64 { return min(a, b) })
	},
	"addf": func(i ...any) float64 { return foldFloat(i, func(a, b float64) float64 { return a + b }) },
	"subf": func(a any, v ...any) float64 {
		return foldFloat(append([]any{a}, v...), func(a, b float64) float64 { return a - b })
	},
	"mulf": func(a any, v ...any) float64 {
		return foldFloat(append([]any{a}, v...), func(a, b float64) float64 { return a * b })
	},
	"divf": func(a any, v ...any) float64 {
		return foldFloat(append([]any{a}, v...), func(a, b float64) float64 { return a / b })
	},
	"maxf":  func(a any, v ...any) float64 { return foldFloat(append([]any{a}, v...), math.Max) },
	"minf":  func(a any, v ...any) float64 { return foldFloat(append([]any{a}, v...), math.Min) },
	"ceil":  func(a any) float64 { return math.Ceil(toFloat(a)) },
	"floor": func(a any) float64 { return math.Floor(toFloat(a)) },
	"round": round,
	"bytes": parseBytes,
	"duration": func(s string) (float64, error) {
		d, err := parseDuration(s)
		return d.Seconds(), err
	},
	"duration_seconds": func(s string) (float64, error) {
		d, err := parseDuration(s)
		return d.Seconds(), err
	},
}

var timeFuncs = texttemplate.FuncMap{
	"date":            func(layout string, t time.Time) string { return t.Format(layout) },
	"toDate":          func(layout, s string) (time.Time, error) { return time.ParseInLocation(layout, s, time.UTC) },
	"toDateInZone":    toDateInZone,
	"unixEpoch":       func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) },
	"unixEpochMillis": func(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) },
	"unixEpochNanos":  func(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) },
	"unixToTime":      unixToTime,
}

// title makes the first letter of every word upper case.
func title(s string) string {
	prev := ' '
	return strings.Map(func(r rune) rune {
		start := !unicode.IsLetter(prev) && !unicode.IsDigit(prev) && prev != '_' && prev != '\''
		prev = r
		if start {
			return unicode.ToTitle(r)
		}
		return r
	}, s)
}

func boundedReplace(s, old, new string) (string, error) {
	if len(s)+strings.Count(s, old)*len(new) > maxTemplateOutput {
		return "", errTemplateOutput
	}
	return strings.ReplaceAll(s, old, new), nil
}

// trunc takes the first n characters, the last -n when n is negative.
func trunc(n int, s string) string {
	r := []rune(s)
	switch {
	case n >= 0 && n < len(r):
		return string(r[:n])
	case n < 0 && -n < len(r):
		return string(r[len(r)+n:])
	}
	return s
}

// substr takes the characters from start up to end; a negative start means the
// first, a negative or too great end the last.
func substr(start, end int, s string) string {
	r := []rune(s)
	start = min(max(start, 0), len(r))
	if end < 0 || end > len(r) {
		end = len(r)
	}
	if end < start {
		return ""
	}
	return string(r[start:end])
}

func repeat(n int, s string) (string, error) {
	if n < 0 || n > maxTemplateOutput || n*len(s) > maxTemplateOutput {
		return "", errTemplateOutput
	}
	return strings.Repeat(s, n), nil
}

func indent(n int, s string) (string, error) {
	pad, err := repeat(n, " ")
	if err != nil {
		return "", err
	}
	out, err := boundedReplace(s, "\n", "\n"+pad)
	return pad + out, err
}

func align(n int, s string, right bool) (string, error) {
	have := utf8.RuneCountInString(s)
	if n < 0 {
		return s, nil
	}
	if have > n {
		if right {
			return trunc(-n, s), nil
		}
		return trunc(n, s), nil
	}
	pad, err := repeat(n-have, " ")
	if right {
		return pad + s, err
	}
	return s + pad, err
}

// maxTemplateRegexps bounds the expressions that a template keeps compiled;
// more than that come out of the data.
const maxTemplateRegexps = 64

func (s *templateState) regexp(pattern string) (*regexp.Regexp, error) {
	if r, ok := s.regexps[pattern]; ok {
		return r, nil
	}
	r, err := compileSearch(pattern)
	if err != nil {
		return nil, err
	}
	if s.regexps == nil || len(s.regexps) >= maxTemplateRegexps {
		s.regexps = map[string]*regexp.Regexp{}
	}
	s.regexps[pattern] = r
	return r, nil
}

func (s *templateState) regexReplaceAll(re, text, repl string) (string, error) {
	r, err := s.regexp(re)
	if err != nil {
		return "", err
	}
	return r.ReplaceAllString(text, repl), nil
}

func (s *templateState) regexReplaceAllLiteral(re, text, repl string) (string, error) {
	r, err := s.regexp(re)
	if err != nil {
		return "", err
	}
	return r.ReplaceAllLiteralString(text, repl), nil
}

func (s *templateState) countMatches(re, text string) (int, error) {
	r, err := s.regexp(re)
	if err != nil {
		return 0, err
	}
	return len(r.FindAllStringIndex(text, -1)), nil
}

func fromJSON(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return nil
	}
	return v
}

// toInt reads an integer out of what templates hand over; 0 when it is none.
func toInt(v any) int64 {
	switch v := v.(type) {
	case string:
		if n, err := strconv.ParseInt(v, 0, 64); err == nil {
			return n
		}
		return int64(toFloat(v))
	case bool:
		if v {
			return 1
		}
		return 0
	}
	switch r := reflect.ValueOf(v); {
	case !r.IsValid():
		return 0
	case r.CanInt():
		return r.Int()
	case r.CanUint():
		return int64(r.Uint())
	case r.CanFloat():
		return int64(r.Float())
	}
	return 0
}

func toFloat(v any) float64 {
	if s, ok := v.(string); ok {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return 0
		}
		return f
	}
	if r := reflect.ValueOf(v); r.IsValid() && r.CanFloat() {
		return r.Float()
	}
	return float64(toInt(v))
}

func foldInt(v []any, f func(a, b int64) int64) int64 {
	if len(v) == 0 {
		return 0
	}
	out := toInt(v[0])
	for _, x := range v[1:] {
		out = f(out, toInt(x))
	}
	return out
}

func foldFloat(v []any, f func(a, b float64) float64) float64 {
	if len(v) == 0 {
		return 0
	}
	out := toFloat(v[0])
	for _, x := range v[1:] {
		out = f(out, toFloat(x))
	}
	return out
}

var errDivision = errors.New("division by zero")

func divInt(a, b any) (int64, error) {
	d := toInt(b)
	if d == 0 {
		return 0, errDivision
	}
	return toInt(a) / d, nil
}

func modInt(a, b any) (int64, error) {
	d := toInt(b)
	if d == 0 {
		return 0, errDivision
	}
	return toInt(a) % d, nil
}

// round rounds to so many decimals, away from zero when the rest is at least
// from (half).
func round(a any, decimals int, from ...float64) float64 {
	least := 0.5
	if len(from) > 0 {
		least = from[0]
	}
	p := math.Pow(10, float64(decimals))
	v := toFloat(a) * p
	whole, rest := math.Modf(math.Abs(v))
	if rest >= least {
		whole++
	}
	return math.Copysign(whole, v) / p
}

func toDateInZone(layout, zone, s string) (time.Time, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("time zone %q: %w", zone, err)
	}
	return time.ParseInLocation(layout, s, loc)
}

// unixToTime reads a Unix time by its number of digits: days (5), seconds
// (10), milliseconds (13), microseconds (16) or nanoseconds (19).
func unixToTime(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a Unix time", s)
	}
	switch len(s) {
	case 5:
		return time.Unix(0, 0).UTC().AddDate(0, 0, int(n)), nil
	case 10:
		return time.Unix(n, 0).UTC(), nil
	case 13:
		return time.UnixMilli(n).UTC(), nil
	case 16:
		return time.UnixMicro(n).UTC(), nil
	case 19:
		return time.Unix(0, n).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a Unix time: expected 5, 10, 13, 16 or 19 digits", s)
}
