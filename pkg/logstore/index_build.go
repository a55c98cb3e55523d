package logstore

import (
	"braid/pkg/idindex"
	"braid/pkg/model"
)

// The kinds of id in a block's id index, beside correlation ids (see idKind).
var (
	kindTrace = idindex.NewKind("id:" + model.KeyTrace)
	kindSpan  = idindex.NewKind("span")
)

// idKind is the hasher of correlation ids of a kind.
func idKind(kind string) idindex.Kind { return idindex.NewKind("id:" + kind) }

// valueKind is the hasher of the values of an attribute.
func valueKind(name string) idindex.Kind { return idindex.NewKind("value:" + name) }

// indexBuilder collects what finds a block's pages: ids and words.
type indexBuilder struct {
	ids     idindex.Builder
	columns []blockColumn
	kinds   []columnKinds
}

// columnKinds are the hashers of a column, made once.
type columnKinds struct {
	value, id idindex.Kind
}

func newIndexBuilder(columns []blockColumn) *indexBuilder {
	b := &indexBuilder{columns: columns, kinds: make([]columnKinds, len(columns))}
	for i, c := range columns {
		if !c.intrinsic {
			b.kinds[i] = columnKinds{valueKind(c.name), idKind(c.ids)}
		}
	}
	return b
}

// add indexes one column of a page.
func (b *indexBuilder) add(no, col int, v *vector) {
	page := uint32(no)
	c := &b.columns[col]
	if c.intrinsic {
		switch c.name {
		case colTrace:
			for i := range v.n {
				b.ids.Add(kindTrace.HashHex([16]byte(v.fixed(i))), page)
			}
		case colSpan:
			for i := range v.n {
				b.ids.Add(kindSpan.HashBytes(v.fixed(i)), page)
			}
		}
		return
	}
	if v.form == formText && v.kind == model.KindString {
		for i := range v.n {
			b.ids.Add(b.kinds[col].value.Hash(v.str(i)), page)
		}
	}
	if c.ids == "" {
		return
	}
	seen := map[uint32]bool{}
	for i := range v.n {
		if v.form == formDict {
			if seen[v.codes[i]] {
				continue
			}
			seen[v.codes[i]] = true
		}
		model.EachID(v.value(i), func(text string) bool {
			if id := model.Canonical(c.ids, text); id != "" {
				b.ids.Add(b.kinds[col].id.Hash(id), page)
			}
			return true
		})
	}
}

// build returns the files of the index.
func (b *indexBuilder) build(int) (words, ids []byte, err error) {
	ids, err = b.ids.Build()
	return nil, ids, err
}
