package otlp

import (
	"strconv"

	"braid/pkg/model"
)

const (
	// maxLeaves bounds the attributes made of one structured body.
	maxLeaves = 256
	// maxLeafDepth is where a map within a body stays JSON text.
	maxLeafDepth = 8
)

// AddLeaves returns attrs with the leaves of a JSON object under dotted paths,
// where the key is not there yet: {"http":{"status":500}} gives http.status.
// Arrays stay JSON text, null is left out, at most 256 leaves are taken. Text
// that is not a JSON object gives attrs unchanged. The new values point into
// text and into b; attrs itself is not changed.
func (b *Buffers) AddLeaves(text string, attrs model.Attrs) model.Attrs {
	f := flattener{b: b, scanner: scanner{b: unalias(text)}, leaves: b.leaves[:0]}
	if f.peek() != '{' {
		return attrs
	}
	f.object("", 1)
	f.end()
	b.leaves = f.leaves
	if f.err != nil {
		return attrs
	}
	return b.addNew(attrs, f.leaves)
}

// addNew returns attrs with those leaves whose keys are new.
func (b *Buffers) addNew(attrs, leaves model.Attrs) model.Attrs {
	if len(leaves) == 0 {
		return attrs
	}
	out := model.Attrs(take(b, &b.attrs, len(attrs)+len(leaves)))
	if out == nil {
		return attrs
	}
	out = append(out[:0], attrs...)
	d := decoder{b: b}
	for _, leaf := range leaves {
		if d.find(out, leaf.Key) < 0 {
			out = append(out, leaf)
		}
	}
	return out
}

type flattener struct {
	scanner
	b      *Buffers
	leaves []model.Attr
}

func (f *flattener) object(prefix string, depth int) {
	first := true
	for ok := f.open('{'); ok && f.more(&first, '}'); {
		path := f.path(prefix, f.key())
		if f.err != nil {
			return
		}
		if len(f.leaves) >= maxLeaves {
			f.skip()
			continue
		}
		if f.peek() == '{' && depth < maxLeafDepth {
			f.object(path, depth+1)
			continue
		}
		if v := f.leaf(); v.Kind() != model.KindEmpty && path != "" {
			f.leaves = append(f.leaves, model.Attr{Key: path, Value: v})
		}
	}
}

// path joins a member's name to its parents'.
func (f *flattener) path(prefix string, key []byte) string {
	if prefix == "" {
		return f.text(key)
	}
	s := append(f.b.scratch[:0], prefix...)
	s = append(append(s, '.'), key...)
	f.b.scratch = s[:0]
	return f.b.text.keep(s)
}

// text returns a string that lives as long as the Buffers: in place, or copied
// when it had escapes.
func (f *flattener) text(raw []byte) string {
	if len(raw) > 0 && len(f.unquoted) > 0 && &raw[0] == &f.unquoted[0] {
		return f.b.text.keep(raw)
	}
	return alias(raw)
}

func (f *flattener) leaf() model.Value {
	switch f.peek() {
	case '"':
		return model.String(f.text(f.str()))
	case 't':
		f.word("true")
		return model.Bool(true)
	case 'f':
		f.word("false")
		return model.Bool(false)
	case 'n':
		f.word("null")
		return model.Value{}
	case '[', '{':
		c, start := f.scanner.b[f.p], f.p
		if f.skip(); f.err != nil {
			return model.Value{}
		}
		if text := alias(f.scanner.b[start:f.p]); c == '[' {
			return model.ArrayJSON(text)
		} else {
			return model.MapJSON(text)
		}
	}
	text := alias(f.number())
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return model.Int(i)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return model.Value{}
	}
	return model.Double(v)
}
