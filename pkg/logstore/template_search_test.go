package logstore

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// templated encodes texts as a block's page has them, and reads them back
// without making the texts.
func templated(t *testing.T, joined bool, texts ...string) (v *vector, known []template) {
	enc, err := newEncoder()
	require.NoError(t, err)
	enc.joined = joined
	set := &templateSet{}
	chunk := enc.appendChunk(nil, textVector(nil, texts...), len(texts), set)
	body, ok := checked(chunk)
	require.True(t, ok)
	known = newTemplates(set.texts)
	v, err = chunkReader{}.read(body, columnKey{true, colBody, model.KindString}, len(texts), nil, known)
	require.NoError(t, err)
	require.NotNil(t, v.tmpl, "not templated")
	return v, known
}

// lineDice draws lines whose variables are of every form: counters with and
// without prefix and padding, hex, and what has no shape.
type lineDice struct{ *rand.Rand }

func (d lineDice) variable() string {
	switch d.IntN(7) {
	case 0:
		return fmt.Sprint(d.IntN(2000))
	case 1:
		return fmt.Sprintf("%06d", d.IntN(200_000))
	case 2:
		return fmt.Sprintf("blk_%d", d.IntN(1_000_000))
	case 3:
		return fmt.Sprintf("%016x", d.Uint64()%4096)
	case 4:
		return fmt.Sprintf("Usr%dx%d", d.IntN(30), d.IntN(30))
	case 5:
		return fmt.Sprintf("a%db_%d", d.IntN(9), d.IntN(99))
	default:
		return fmt.Sprintf("ſ%dKx", d.IntN(5))
	}
}

func (d lineDice) lines(n int) []string {
	var shapes [][]string
	words := []string{"block", "Block", "user", "error=", "took", "ms", "/", "blk_", "x", "\n", "größe", "a-b", "::"}
	for range 6 {
		var s []string
		for range 3 + d.IntN(6) {
			s = append(s, words[d.IntN(len(words))])
		}
		shapes = append(shapes, s)
	}
	out := make([]string, n)
	// one form of variable a place, so that places have shapes
	for i := range out {
		s := shapes[d.IntN(len(shapes))]
		var b strings.Builder
		for j, w := range s {
			b.WriteString(w + " ")
			if j%2 == 0 {
				r := lineDice{rand.New(rand.NewPCG(uint64(len(s)*10+j), 1))}
				form := r.IntN(7)
				for {
					v := d.variable()
					if d.IntN(50) == 0 || formOf(v) == form {
						b.WriteString(v)
						break
					}
				}
				b.WriteString([]string{" ", "=", ",", "\t"}[j%4])
			}
		}
		out[i] = b.String()
	}
	return out
}

func formOf(v string) int {
	switch {
	case strings.HasPrefix(v, "blk_"):
		return 2
	case strings.HasPrefix(v, "Usr"):
		return 4
	case strings.HasPrefix(v, "a"):
		return 5
	case strings.HasPrefix(v, "ſ"):
		return 6
	case len(v) == 16:
		return 3
	case len(v) == 6:
		return 1
	}
	return 0
}

// query takes a piece out of a line, or makes one up.
func (d lineDice) query(lines []string) string {
	if d.IntN(6) == 0 {
		return []string{"1", "00", "_1", "blk", "k_12", "0", "x1", "ms", " ", "e=", "USR1", "ſ1", "999999999999999999999", "a1b_1", "f"}[d.IntN(15)]
	}
	l := lines[d.IntN(len(lines))]
	from := d.IntN(len(l))
	return l[from:min(len(l), from+1+d.IntN(14))]
}

// TestTemplatesAnswerAsTexts: searches in templates and variables find what the
// definition finds in the texts.
func TestTemplatesAnswerAsTexts(t *testing.T) {
	d := lineDice{rand.New(rand.NewPCG(7, 7))}
	told := 0
	for round := range 60 {
		lines := d.lines(200)
		v, known := templated(t, round%4 == 0, lines...)
		require.NoError(t, v.expand())
		for i, l := range lines {
			require.Equal(t, l, v.str(i))
		}
		for range 150 {
			q, fold := d.query(lines), d.IntN(3) == 0
			mode := []predicate.TextMode{predicate.Contains, predicate.Word, predicate.Prefix}[d.IntN(3)]
			e, err := predicate.NewText(predicate.Intrinsic(predicate.Body), mode, q, fold)
			if err != nil {
				continue
			}
			s := newSearcher(e)
			if s == nil {
				continue
			}
			left := newBitset(len(lines))
			for i := range lines {
				if d.IntN(4) > 0 {
					left.set(i)
				}
			}
			plans := s.newPlans(len(known))
			if plans.make(s, known, v.tmpl.local); !plans.ok {
				continue
			}
			out := newBitset(len(lines))
			fresh := *v.tmpl
			done, err := s.run(&fresh, v, plans.plans, left, out)
			require.NoError(t, err)
			if !done {
				continue
			}
			told++
			for i, l := range lines {
				require.Equal(t, left.has(i) && e.Holds(l), out.has(i), "%v %q fold %v in %q", mode, q, fold, l)
			}
		}
	}
	require.Greater(t, told, 4000)
}

// TestHeadOfTemplates: the codes alone can be read, and are not when any of
// their bytes is wrong or missing.
func TestHeadOfTemplates(t *testing.T) {
	d := lineDice{rand.New(rand.NewPCG(8, 8))}
	lines := d.lines(300)
	enc, err := newEncoder()
	require.NoError(t, err)
	set := &templateSet{}
	rows := make([]uint16, len(lines))
	for i := range rows {
		rows[i] = uint16(2*i + 1)
	}
	for _, v := range []*vector{textVector(nil, lines...), textVector(rows, lines...)} {
		total := 300
		if v.rows != nil {
			total = 700
		}
		chunk := enc.appendChunk(nil, v, total, set)
		key := columnKey{true, colBody, model.KindString}
		whole, err := chunkReader{}.read(chunk[:len(chunk)-crcSize], key, total, nil, newTemplates(set.texts))
		require.NoError(t, err)
		head, size := chunkReader{}.head(chunk, key, total, newTemplates(set.texts))
		require.NotNil(t, head)
		require.Equal(t, whole.tmpl.codes, head.tmpl.codes)
		require.Equal(t, whole.rows, head.rows)
		again, _ := chunkReader{}.head(chunk[:size], key, total, newTemplates(set.texts))
		require.NotNil(t, again)
		for i := range size {
			none, _ := chunkReader{}.head(chunk[:i], key, total, newTemplates(set.texts))
			require.Nil(t, none, "cut at %d", i)
			bad := append([]byte(nil), chunk...)
			bad[i] ^= 1 << d.IntN(8)
			none, _ = chunkReader{}.head(bad, key, total, newTemplates(set.texts))
			require.Nil(t, none, "flipped at %d", i)
		}
	}
}

// TestEqualWithoutTexts: shapes compare as their texts do.
func TestEqualWithoutTexts(t *testing.T) {
	for _, texts := range [][]string{
		{"user-1", "user-20", "user-0", "user-1"},
		{"job-0001", "job-0420", "job-9999"},
		{"0af3c2d1-0000-4abc-8def-0123456789ab", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
		{"00ff12ab34cd56ef", "0000000000000000"},
	} {
		enc, err := newEncoder()
		require.NoError(t, err)
		chunk := enc.appendChunk(nil, textVector(nil, texts...), len(texts), nil)
		for _, q := range append([]string{"", "user-", "user-01", "user-20 ", "job-1", "job-420", "0AF3C2D1-0000-4ABC-8DEF-0123456789AB", "00FF12AB34CD56EF", "user-99999999999999999999"}, texts...) {
			v, err := chunkReader{}.read(chunk[:len(chunk)-crcSize], columnKey{false, "x", model.KindString}, len(texts), nil, nil)
			require.NoError(t, err)
			out := newBitset(len(texts))
			require.True(t, v.equal(q, fullBitset(len(texts)), out), texts[0])
			for i, s := range texts {
				require.Equal(t, s == q, out.has(i), "%q in %q", q, s)
			}
		}
	}
}
