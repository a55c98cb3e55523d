package logql

import "strings"

// maxDetected bounds the fields found in one line.
const maxDetected = 256

// DetectJSON returns the scalars of a line that is a JSON object, named as the
// json parser names them, each with its path; nil when the line is none.
func DetectJSON(line string) (fields []Label, paths [][]string) {
	j := jsonScanner{s: line}
	j.space()
	if j.peek() != '{' {
		return nil, nil
	}
	fields = []Label{}
	var walk func(path []string, name []byte, depth int) error
	walk = func(path []string, prefix []byte, depth int) error {
		if depth > maxJSONDepth {
			return errJSONDepth
		}
		return j.object(func(key string) error {
			name := prefix[:len(prefix):len(prefix)]
			if len(name) > 0 {
				name = append(name, '_')
			}
			name = sanitize(name, key)
			here := append(path[:len(path):len(path)], key)
			switch j.peek() {
			case '{':
				return walk(here, name, depth+1)
			case '[':
				return j.skip(depth + 1)
			}
			v, err := j.scalar(depth)
			if err == nil && v != "" && len(fields) < maxDetected {
				fields, paths = append(fields, Label{string(name), v}), append(paths, here)
			}
			return err
		})
	}
	if walk(nil, nil, 0) != nil || j.end() != nil {
		return nil, nil
	}
	return fields, paths
}

// DetectLogfmt returns the pairs of a line that reads as logfmt: at least one,
// and pairs make up most of it.
func DetectLogfmt(line string) []Label {
	l := logfmtScanner{s: line}
	var out []Label
	words := 0
	for len(out) < maxDetected {
		key, value, hasValue, done, err := l.next()
		if done {
			break
		}
		words++
		if err == nil && hasValue && value != "" {
			out = append(out, Label{string(sanitize(nil, key)), strings.ToValidUTF8(value, "")})
		}
	}
	if len(out)*2 < words {
		return nil
	}
	return out
}

// IsBytes reports whether a text is a size with a unit, such as 5KB.
func IsBytes(s string) bool {
	_, err := parseBytes(s)
	return err == nil && s != "" && !isDigit(s[len(s)-1])
}
