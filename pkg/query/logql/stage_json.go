package logql

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// pathStep is one step of a JSON expression: a key, or an index.
type pathStep struct {
	key   string
	index int // of an array when key is ""
}

// parsePath reads a JSON expression: servers[0].name, ["weird key"].x
func parsePath(expr string) ([]pathStep, error) {
	var out []pathStep
	bad := func(i int, want string) error {
		return fmt.Errorf("JSON expression %q: expected %s at character %d", expr, want, i+1)
	}
	for i := 0; i < len(expr); {
		switch {
		case expr[i] == '[' && i+1 < len(expr) && expr[i+1] == '"':
			end := i + 2
			for end < len(expr) && expr[end] != '"' {
				if expr[end] == '\\' {
					end++
				}
				end++
			}
			if end+1 >= len(expr) || expr[end+1] != ']' {
				return nil, bad(min(end, len(expr)), `"]`)
			}
			key, err := strconv.Unquote(expr[i+1 : end+1])
			if err != nil {
				return nil, bad(i+1, "a quoted key")
			}
			out = append(out, pathStep{key: key, index: -1})
			i = end + 2
		case expr[i] == '[':
			end := strings.IndexByte(expr[i:], ']')
			if end < 0 {
				return nil, bad(len(expr), "]")
			}
			n, err := strconv.Atoi(strings.TrimSpace(expr[i+1 : i+end]))
			if err != nil || n < 0 {
				return nil, bad(i+1, `an index or a "key"`)
			}
			out = append(out, pathStep{index: n})
			i += end + 1
		default:
			if expr[i] == '.' {
				if len(out) == 0 {
					return nil, bad(i, "a name")
				}
				i++
			} else if len(out) > 0 {
				return nil, bad(i, ". or [")
			}
			end := i
			for end < len(expr) && expr[end] != '.' && expr[end] != '[' && expr[end] != ' ' {
				end++
			}
			if end == i {
				return nil, bad(i, "a name")
			}
			out = append(out, pathStep{key: expr[i:end], index: -1})
			i = end
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("JSON expression is empty: expected a path such as a.b[0]")
	}
	return out, nil
}

func newJSONParser(fields []FieldExpr) (*JSONParser, error) {
	p := &JSONParser{Fields: fields}
	for _, f := range fields {
		path, err := parsePath(f.Expr)
		if err != nil {
			return nil, err
		}
		p.paths = append(p.paths, path)
	}
	return p, nil
}

func (p *JSONParser) process(e *entry) bool {
	j := jsonScanner{s: e.line}
	j.space()
	var err error
	if len(p.paths) > 0 {
		err = p.some(e, &j)
	} else { // what was found before the fault stays, what follows the object is ignored
		w := jsonWalk{e: e, j: &j}
		err = w.flatten(e.scratch[:0], 0)
	}
	if err != nil {
		e.fail(errJSON, err.Error())
	}
	return true
}

// jsonWalk makes a label of every scalar: nested keys are joined with '_',
// arrays are left out.
type jsonWalk struct {
	e *entry
	j *jsonScanner
}

func (w *jsonWalk) flatten(prefix []byte, depth int) error {
	if depth > maxJSONDepth {
		return errJSONDepth
	}
	return w.j.object(func(key string) error {
		name := prefix
		if len(name) > 0 {
			name = append(name, '_')
		}
		name = sanitize(name, key)
		if depth == 0 {
			w.e.scratch = name
		}
		switch w.j.peek() {
		case '{':
			return w.flatten(name, depth+1)
		case '[':
			return w.j.skip(depth + 1)
		case 'n': // null
			return w.j.skip(depth)
		}
		under := w.e.names.intern(name)
		if !w.e.wants(under) {
			return w.j.skip(depth)
		}
		v, err := w.j.scalar(depth)
		if err == nil {
			w.e.extract(under, v)
		}
		return err
	})
}

// some finds the values of the expressions. A line that only begins like JSON
// gives what can be found before the fault.
func (p *JSONParser) some(e *entry, j *jsonScanner) error {
	start := j.i
	switch j.peek() {
	case '{', '[', '"':
	case 0:
		return nil
	default:
		return j.expected("'{'")
	}
	for i, path := range p.paths {
		j.i = start
		name := sanitized(e, p.Fields[i].Label)
		if v, err := findPath(j, path, 0); err == errFound {
			e.extract(name, v)
		} else {
			e.lacks(name)
		}
	}
	return nil
}

func sanitized(e *entry, name string) string {
	e.scratch = sanitize(e.scratch[:0], name)
	return e.names.intern(e.scratch)
}

var errFound = errors.New("found")

// findPath returns the value at a path together with errFound; without, it
// consumes the whole value at hand.
func findPath(j *jsonScanner, path []pathStep, depth int) (found string, err error) {
	if depth > maxJSONDepth {
		return "", errJSONDepth
	}
	if len(path) == 0 {
		if found, err = j.scalar(depth); err == nil {
			err = errFound
		}
		return found, err
	}
	next := func(here bool) error {
		if !here {
			return j.skip(depth + 1)
		}
		v, err := findPath(j, path[1:], depth+1)
		found = v
		return err
	}
	switch c := j.peek(); {
	case c == '{' && path[0].index < 0:
		err = j.object(func(key string) error { return next(key == path[0].key) })
	case c == '[' && path[0].index >= 0:
		err = j.array(func(n int) error { return next(n == path[0].index) })
	default:
		err = j.skip(depth + 1)
	}
	return found, err
}

// process puts a packed line back: its string members become labels, the
// member "_entry" the line. A line without that was not packed, nor was an empty
// one. What follows the object is ignored.
func (*Unpack) process(e *entry) bool {
	j := jsonScanner{s: e.line}
	j.space()
	if j.i == len(j.s) {
		return true
	}
	mark, line, packed := len(e.made), e.line, false
	err := j.object(func(key string) error {
		if j.peek() != '"' {
			return j.skip(1)
		}
		v, err := j.str()
		if err != nil {
			return err
		}
		if key == "_entry" {
			line, packed = v, true
		} else {
			e.extract(sanitized(e, key), v)
		}
		return nil
	})
	if err != nil {
		e.made = e.made[:mark]
		e.fail(errJSON, err.Error())
		return true
	}
	if !packed {
		e.made = e.made[:mark]
	}
	e.line = line
	return true
}
