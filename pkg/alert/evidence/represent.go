package evidence

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// maxLineBytes bounds a line in a pack.
const maxLineBytes = 2048

// Represent picks up to n lines that stand for all: lines that differ only in
// numbers, ids and quoted texts are one kind; the most frequent kinds come
// first, each by its newest line with its count. Errors come before the rest.
func Represent(lines []Line, n int) []Line {
	kinds := map[string]int{}
	var out []Line
	for _, l := range lines {
		key := l.Service + "\x00" + l.Level + "\x00" + shape(l.Text)
		at, ok := kinds[key]
		if !ok {
			at = len(out)
			kinds[key] = at
			l.Text, l.Count = cut(l.Text, maxLineBytes), 0
			out = append(out, l)
		}
		out[at].Count++
	}
	sort.SliceStable(out, func(i, j int) bool {
		if a, b := rank(out[i].Level), rank(out[j].Level); a != b {
			return a > b
		}
		return out[i].Count > out[j].Count
	})
	return out[:min(n, len(out))]
}

func rank(level string) int {
	switch level {
	case "fatal":
		return 3
	case "error":
		return 2
	case "warn":
		return 1
	}
	return 0
}

// shape is a line without what varies: words that hold a digit, and what
// stands in quotes.
func shape(s string) string {
	s = cut(s, 512)
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] == '"' {
			if end := strings.IndexByte(s[i+1:], '"'); end >= 0 {
				b.WriteString(`"*"`)
				i += end + 2
				continue
			}
		}
		j := i
		digit := false
		for j < len(s) && wordByte(s[j]) {
			digit = digit || s[j] >= '0' && s[j] <= '9'
			j++
		}
		switch {
		case j == i:
			b.WriteByte(s[i])
			j++
		case digit || j-i >= 16 && isHex(s[i:j]):
			b.WriteByte('*')
		default:
			b.WriteString(s[i:j])
		}
		i = j
	}
	return b.String()
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-' || c >= 0x80
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF-") == ""
}

// cut shortens a text to n bytes at most, at a border of characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
