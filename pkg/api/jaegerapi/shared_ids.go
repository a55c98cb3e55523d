package jaegerapi

import (
	"encoding/binary"
	"slices"

	"braid/pkg/model"
	"braid/pkg/query/traceql"
)

// apart gives the server of every shared span id (Zipkin's) an id of its own,
// below its client's, as Jaeger does unless raw traces are asked for: its
// clients tell spans apart by their ids. It leaves the rows given as they are
// and returns the tree of those that it returns.
func apart(rows []model.SpanRow) ([]model.SpanRow, *traceql.Tree) {
	tree := traceql.BuildTree(rows)
	isShared := func(f traceql.SpanFlag) bool { return f&traceql.FlagShared != 0 }
	if !slices.ContainsFunc(tree.Flags, isShared) {
		return rows, tree
	}
	used := make(map[model.SpanID]bool, len(rows))
	for i := range rows {
		used[rows[i].SpanID] = true
	}
	out := slices.Clone(rows)
	var id model.SpanID
	next := uint64(0)
	for i, f := range tree.Flags {
		if !isShared(f) {
			continue
		}
		for ok := true; ok; ok = used[id] {
			next++
			binary.BigEndian.PutUint64(id[:], next)
		}
		out[i].ParentID, out[i].SpanID = rows[i].SpanID, id
		for _, c := range tree.Children(i) {
			out[c].ParentID = id
		}
	}
	return out, traceql.BuildTree(out)
}

// unlessRaw is apart for who needs no tree.
func unlessRaw(rows []model.SpanRow, raw bool) []model.SpanRow {
	if raw {
		return rows
	}
	rows, _ = apart(rows)
	return rows
}
