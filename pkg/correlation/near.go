package correlation

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

const (
	// maxNear bounds the near spellings that are named.
	maxNear = 10
	// maxSpelling is the longest text of which other spellings are tried.
	maxSpelling = 64
	// maxSpellings bounds the spellings tried of one text.
	maxSpellings = 160
)

// near looks for ids that are known and like a text that is not: an id inside a
// pasted log line or URL, the id in another case or without its prefix, with a
// digit too many, too few or two exchanged. All are asked in one question a
// signal.
func (f *Finder) near(ctx context.Context, t tenant.ID, spec *model.KeySpec, req Request) ([]model.CorrelationKey, error) {
	candidates := tokens(req.ID)
	candidates = append(candidates, spellings(strings.TrimSpace(req.ID))...)
	var any predicate.Or
	wanted := map[model.CorrelationKey]int{} // to the place in the order of likelihood
	for _, text := range candidates {
		for _, key := range readings(text, req.Kind) {
			if _, known := wanted[key]; !known {
				wanted[key] = len(wanted)
				any = append(any, predicate.Correlated(key))
			}
		}
	}
	if len(any) == 0 {
		return nil, nil
	}
	got := map[model.CorrelationKey]int{}
	note := func(k model.CorrelationKey) {
		at, ok := wanted[k]
		if anyKind, okAny := wanted[model.CorrelationKey{ID: k.ID}]; okAny && (!ok || anyKind < at) {
			at, ok = anyKind, true
		}
		if ok {
			got[k] = at
		}
	}
	if err := f.eachCarrier(ctx, t, spec, any, note); err != nil {
		return nil, err
	}
	out := make([]model.CorrelationKey, 0, len(got))
	for k := range got {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b model.CorrelationKey) int {
		if d := got[a] - got[b]; d != 0 {
			return d
		}
		return strings.Compare(a.Kind+a.ID, b.Kind+b.ID)
	})
	return out[:min(len(out), maxNear)], nil
}

// eachCarrier yields the keys of some of the spans and records that carry one of
// the ids.
func (f *Finder) eachCarrier(ctx context.Context, t tenant.ID, spec *model.KeySpec, any predicate.Expr, note func(model.CorrelationKey)) error {
	stats := &model.QueryStats{}
	sq := &predicate.SpanQuery{Tenant: t, Filters: []predicate.Expr{any}, SpansPerTrace: 4, Limit: 4 * maxNear, Stats: stats}
	for m, err := range f.opts.Traces.SelectSpans(ctx, sq) {
		if err != nil {
			return err
		}
		for i := range m.Spans {
			predicate.EachSpanKey(spec, &m.Spans[i], note)
		}
	}
	lq := &predicate.LogQuery{Tenant: t, Filter: any, Limit: 8 * maxNear, Stats: stats}
	for batch, err := range f.opts.Logs.SelectLogs(ctx, lq) {
		if err != nil {
			return err
		}
		for i := range batch {
			predicate.EachLogKey(spec, &batch[i], note)
		}
	}
	return nil
}

// spellings returns texts that a text may have been meant to be, the likeliest
// first.
func spellings(text string) []string {
	if text == "" || len(text) > maxSpelling || strings.ContainsAny(text, " \t\n") {
		return nil
	}
	seen := map[string]bool{text: true}
	var out []string
	add := func(s string) {
		if len(s) >= 4 && !seen[s] && len(out) < maxSpellings {
			seen[s] = true
			out = append(out, s)
		}
	}
	bare := strings.Trim(text, "\"'`<>()[]{},;:=/.")
	add(bare)
	if i := strings.LastIndexAny(bare, "=:/_#"); i >= 0 { // a prefix, as in req_7f3a…
		add(bare[i+1:])
	}
	if i := strings.IndexByte(bare, '-'); i >= 0 && len(bare) != 36 {
		add(bare[i+1:])
	}
	digits := strings.ReplaceAll(bare, "-", "")
	add(digits)
	if len(digits) == 32 && isHex(digits) {
		add(digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:])
	}
	if !isHex(digits) {
		add(lookalike.Replace(bare))
	}
	add(bare[:max(0, len(bare)-1)])
	if len(bare) > 0 {
		add(bare[1:])
	}
	for i := 0; i+1 < len(bare); i++ {
		b := []byte(bare)
		b[i], b[i+1] = b[i+1], b[i]
		add(string(b))
	}
	if n := len(digits); isHex(digits) && (n == 31 || n == 15 || n == 35) || len(bare) == 35 {
		for _, c := range "0123456789abcdef" {
			add(bare + string(c))
			add(string(c) + bare)
		}
	}
	return out
}

// lookalike turns letters that are no hex digits into the digits that they are
// mistaken for.
var lookalike = strings.NewReplacer("o", "0", "O", "0", "l", "1", "I", "1", "S", "5")

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// tooOld says of an unknown id that tells its own time (X-Ray's, UUID version 7)
// that nothing of that time is kept any more.
func (w *walk) tooOld(text string) []Gap {
	at, ok := timeIn(strings.TrimSpace(text))
	if !ok {
		return nil
	}
	spans, logs := w.f.opts.Retention(w.t), w.f.opts.LogRetention(w.t)
	r := model.TimeRange{Start: at, End: at + 1}
	if !w.older(r, spans) || !w.older(r, logs) {
		return nil
	}
	return []Gap{{Kind: "expired", Message: fmt.Sprintf("the id was made at %s; spans are kept for %s, log records for %s",
		time.Unix(0, at).UTC().Format(time.RFC3339), spans, logs)}}
}

// timeIn returns the Unix ns that an id was made at, where its form says so.
func timeIn(text string) (int64, bool) {
	p := strings.Split(text, "-")
	switch {
	case len(p) == 3 && p[0] == "1" && len(p[1]) == 8 && len(p[2]) == 24:
		s, err := strconv.ParseInt(p[1], 16, 64)
		return s * int64(time.Second), err == nil
	case len(p) == 5 && len(text) == 36 && p[2][0] == '7':
		ms, err := strconv.ParseInt(p[0]+p[1], 16, 64)
		return ms * int64(time.Millisecond), err == nil
	}
	return 0, false
}
