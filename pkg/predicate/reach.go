package predicate

// Reach tells where an expression may hold, of what its leaves say: leaf returns
// the places of one leaf, ok false when it may hold anywhere. An And is where the
// one of its parts is that has the fewest places, an Or where any is. A store
// asks it which blocks an id may be in.
func Reach[P comparable](e Expr, leaf func(Expr) (places map[P]struct{}, ok bool)) (places map[P]struct{}, ok bool) {
	switch e := e.(type) {
	case And:
		for _, x := range e {
			if p, narrow := Reach(x, leaf); narrow && (!ok || len(p) < len(places)) {
				places, ok = p, true
			}
		}
		return places, ok
	case Or:
		places = map[P]struct{}{}
		for _, x := range e {
			p, narrow := Reach(x, leaf)
			if !narrow {
				return nil, false
			}
			for at := range p {
				places[at] = struct{}{}
			}
		}
		return places, true
	}
	return leaf(e)
}

// Less returns the expression with those alternatives left out of it that hold
// nowhere, as lacks says of its leaves; none says that nothing is left.
func Less(e Expr, lacks func(Expr) bool) (left Expr, none bool) {
	switch e := e.(type) {
	case And:
		for _, x := range e {
			if _, none := Less(x, lacks); none {
				return nil, true
			}
		}
		return e, false
	case Or:
		var out Or
		for i, x := range e {
			y, gone := Less(x, lacks)
			if gone && out == nil {
				out = append(make(Or, 0, len(e)), e[:i]...)
			}
			if !gone && out != nil {
				out = append(out, y)
			}
		}
		if out != nil {
			return out, len(out) == 0
		}
		return e, len(e) == 0
	}
	return e, lacks(e)
}
