package otlp

import (
	"strconv"
	"strings"

	"braid/pkg/model"
)

// AddLogfmt returns attrs with the pairs of a logfmt line (level=info
// msg="all done" n=5), where the key is not there yet. Words without "=" are
// passed over; a line without any pair gives attrs unchanged. Rules of memory
// are those of AddLeaves.
func (b *Buffers) AddLogfmt(line string, attrs model.Attrs) model.Attrs {
	leaves := b.leaves[:0]
	for line != "" && len(leaves) < maxLeaves {
		line = strings.TrimLeft(line, " \t")
		end := strings.IndexAny(line, "= \t\"")
		if end <= 0 || line[end] != '=' {
			if end = strings.IndexAny(line, " \t"); end < 0 {
				break
			}
			line = line[end:]
			continue
		}
		key := line[:end]
		var value string
		if value, line = b.logfmtValue(line[end+1:]); value != "" {
			leaves = append(leaves, model.Attr{Key: key, Value: guess(value)})
		}
	}
	b.leaves = leaves
	return b.addNew(attrs, leaves)
}

// logfmtValue reads a bare or quoted value and returns what follows it.
func (b *Buffers) logfmtValue(s string) (value, rest string) {
	if s == "" || s[0] != '"' {
		end := strings.IndexAny(s, " \t")
		if end < 0 {
			return s, ""
		}
		return s[:end], s[end:]
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			quoted := s[1:i]
			if strings.IndexByte(quoted, '\\') >= 0 {
				if text, err := strconv.Unquote(s[:i+1]); err == nil {
					quoted = b.text.keep([]byte(text))
				}
			}
			return quoted, s[i+1:]
		}
	}
	return s[1:], ""
}

// guess reads numbers and booleans as such.
func guess(s string) model.Value {
	switch s {
	case "true":
		return model.Bool(true)
	case "false":
		return model.Bool(false)
	}
	if c := s[0]; c == '-' || c >= '0' && c <= '9' {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(i, 10) == s {
			return model.Int(i)
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && strings.Trim(s, "-0123456789.") == "" {
			return model.Double(f)
		}
	}
	return model.String(s)
}
