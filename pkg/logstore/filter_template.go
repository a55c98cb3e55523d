package logstore

import (
	"slices"

	"braid/pkg/model"
)

// testTemplates answers by the templates of texts where these tell; false when
// the texts must be made. Only rows of templates that may match are made for a
// regular expression.
func (n *fieldNode) testTemplates(p *page, v *vector, si int, left, out bitset) (bool, error) {
	if v.tmpl == nil || v.offs != nil || n.find == nil && n.match == nil || v.kind != model.KindString || !n.onlyBody {
		return false, nil
	}
	if n.find != nil {
		plans, ok := n.searchPlans(v.tmpl)
		if !ok {
			return false, nil
		}
		if n.partsInVars(p.no) == 0 && n.static { // no variable of the page has a part of it
			for i, c := range v.tmpl.codes {
				if plans[c].always {
					if row := v.row(i); left.has(row) {
						out.set(row)
					}
				}
			}
			return true, nil
		}
		got := newBitset(p.rows)
		done, err := n.find.run(v.tmpl, v, plans, left, got)
		if done {
			out.or(got)
		}
		return done, err
	}
	memo := n.templateMemo(v.tmpl, n.partsInVars(p.no))
	if !memo.ok {
		return false, nil
	}
	rows := newBitset(p.rows)
	eachValue(v, left, func(i, row int) {
		if memo.pass[v.tmpl.codes[i]] {
			rows.set(row)
		}
	})
	if rows.empty() {
		return true, nil
	}
	made := &vector{form: formText, kind: v.kind, rows: v.rows, n: v.n}
	if err := v.tmpl.build(made, rows); err != nil {
		return false, err
	}
	n.match.scan(made, rows, out)
	return true, nil
}

// partsInVars returns which parts of words, as bits, a variable of a page may
// have.
func (n *fieldNode) partsInVars(page int) uint64 {
	var mask uint64
	for i := range n.varParts {
		if i >= len(n.inVars) || n.inVars[i] == nil || n.inVars[i].has(page) {
			mask |= 1 << min(i, 63)
		}
	}
	return mask
}

// searchPlans looks for the query in the templates of a page; false when they
// cannot tell.
func (n *fieldNode) searchPlans(t *templates) (plans []templatePlan, ok bool) {
	n.tmu.Lock()
	defer n.tmu.Unlock()
	if n.plans == nil {
		n.plans = n.find.newPlans(len(t.known))
	}
	n.plans.make(n.find, t.known, t.local)
	return n.plans.plans, n.plans.ok
}

// templateMemo tries the search on the templates of a block's bodies, once for
// each set of parts that may be in variables.
func (n *fieldNode) templateMemo(t *templates, vars uint64) templateMemo {
	n.tmu.Lock()
	defer n.tmu.Unlock()
	m, ok := n.tmemos[vars]
	if ok {
		return m
	}
	if n.words != nil && len(n.varParts) <= 64 {
		m = templateMemo{pass: make([]bool, len(t.known)), ok: true}
		for i := range t.known {
			m.pass[i] = mayMatch(n.words, foldTemplate(t.known[i].text), func(part string) bool {
				at := slices.Index(n.varParts, part)
				return at < 0 || vars>>at&1 == 1
			})
		}
	}
	if n.tmemos == nil {
		n.tmemos = map[uint64]templateMemo{}
	}
	n.tmemos[vars] = m
	return m
}
