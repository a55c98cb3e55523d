package logql

import (
	"errors"
	"strconv"
	"strings"
)

// logfmtScanner walks key=value pairs in place.
type logfmtScanner struct {
	s string
	i int
}

var errLogfmtPair = errors.New("malformed pair")

// next returns the next pair; done at the end. A malformed pair is an error
// and is stepped over. hasValue is false for a bare key.
func (l *logfmtScanner) next() (key, value string, hasValue, done bool, err error) {
	for l.i < len(l.s) && l.s[l.i] <= ' ' {
		l.i++
	}
	if l.i >= len(l.s) {
		return "", "", false, true, nil
	}
	start := l.i
	for l.i < len(l.s) && l.s[l.i] > ' ' && l.s[l.i] != '=' && l.s[l.i] != '"' {
		l.i++
	}
	key = l.s[start:l.i]
	if l.i < len(l.s) && l.s[l.i] == '"' || key == "" {
		l.skipWord()
		return "", "", false, false, errLogfmtPair
	}
	if l.i >= len(l.s) || l.s[l.i] != '=' {
		return key, "", false, false, nil
	}
	l.i++
	if l.i < len(l.s) && l.s[l.i] == '"' {
		value, err = l.quoted()
		return key, value, true, false, err
	}
	start = l.i
	for l.i < len(l.s) && l.s[l.i] > ' ' {
		if l.s[l.i] == '"' || l.s[l.i] == '=' {
			l.skipWord()
			return "", "", false, false, errLogfmtPair
		}
		l.i++
	}
	return key, l.s[start:l.i], true, false, nil
}

func (l *logfmtScanner) skipWord() {
	for l.i < len(l.s) && l.s[l.i] > ' ' {
		l.i++
	}
}

// quoted reads a value in quotes, with JSON's escapes.
func (l *logfmtScanner) quoted() (string, error) {
	start := l.i + 1
	plain := true
	for i := start; i < len(l.s); i++ {
		switch l.s[i] {
		case '\\':
			plain = false
			i++
		case '"':
			raw := l.s[start:i]
			l.i = i + 1
			if plain {
				return raw, nil
			}
			return unquoteLoose(raw), nil
		}
	}
	l.i = len(l.s)
	return "", errors.New("value is not closed by a quote")
}

// unquoteLoose resolves escapes and leaves alone what is none.
func unquoteLoose(raw string) string {
	b := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] == '\\' {
			if out, n := unescape(b, raw[i:]); n > 0 {
				b, i = out, i+n
				continue
			}
		}
		b = append(b, raw[i])
		i++
	}
	return string(b)
}

func (p *LogfmtParser) process(e *entry) bool {
	mark := len(e.made)
	l := logfmtScanner{s: e.line}
	for {
		key, value, hasValue, done, err := l.next()
		if done {
			break
		}
		if err != nil {
			if p.Strict {
				e.made = e.made[:mark]
				e.fail(errLogfmt, err.Error()+" before byte "+strconv.Itoa(l.i+1))
				break
			}
			continue
		}
		if (!hasValue || value == "") && !p.KeepEmpty && len(p.Fields) == 0 {
			continue
		}
		p.take(e, key, strings.ToValidUTF8(value, ""))
	}
	for _, f := range p.Fields {
		e.lacks(sanitized(e, f.Label))
	}
	return true
}

// take adds a pair. Of a key that repeats the first value counts, but the last
// where the key was asked for.
func (p *LogfmtParser) take(e *entry, key, value string) {
	if len(p.Fields) == 0 {
		e.extract(sanitized(e, key), value)
		return
	}
	for _, f := range p.Fields {
		if f.Expr != key {
			continue
		}
		if name, ok := e.parsedName(sanitized(e, f.Label), value); ok {
			e.set(name, value)
		}
	}
}
