package logstore

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// wordQuery is what the words of a text must be for a condition to hold: a
// necessary condition, to find candidate pages with. nil means nothing is known.
type wordQuery interface {
	// pages returns the pages of a block that have such words; nil for all.
	pages(ix *pageIndex) (bitset, error)
}

type allWords []wordQuery

func (q allWords) pages(ix *pageIndex) (bitset, error) {
	var out bitset
	for _, part := range q {
		got, err := part.pages(ix)
		if err != nil {
			return nil, err
		}
		switch {
		case got == nil:
		case out == nil:
			out = got
		default:
			out.and(got)
		}
		if out != nil && out.empty() {
			break
		}
	}
	return out, nil
}

type anyWords []wordQuery

func (q anyWords) pages(ix *pageIndex) (bitset, error) {
	out := ix.none()
	for _, part := range q {
		if part == nil {
			return nil, nil
		}
		got, err := part.pages(ix)
		if err != nil || got == nil {
			return nil, err
		}
		out.or(got)
	}
	return out, nil
}

// wholeWord is a folded word, whole.
type wholeWord string

func (q wholeWord) pages(ix *pageIndex) (bitset, error) {
	out := ix.none()
	h, _ := hashWord(string(q))
	if classOf(string(q)) == classTerm {
		if err := ix.term(fieldWord, []byte(q), out); err != nil {
			return nil, err
		}
		if !ix.d.flags.spilled {
			return out, nil
		}
	}
	return out, ix.id(wordHash(h), out)
}

// wordPart is a folded piece of a word without digits, or of letters only of
// Chinese and Japanese: start and end say that the word begins or ends with it,
// left and right that the run of letters does.
type wordPart struct {
	text                    string
	start, end, left, right bool
}

func (q wordPart) pages(ix *pageIndex) (bitset, error) {
	w, err := ix.wordIndex()
	if err != nil {
		return nil, err
	}
	out := ix.none()
	flagged(ix.d.flags.partial, out)
	if ok, err := w.infix(fieldWord, q.text, q.start, q.end, out); err != nil || !ok {
		return nil, err
	}
	if ok, err := w.infix(fieldPart, q.text, q.start || q.left, q.end || q.right, out); err != nil || !ok {
		return nil, err
	}
	return out, nil
}

// bigramRun is two or more Chinese or Japanese characters in a row.
type bigramRun []string

func (q bigramRun) pages(ix *pageIndex) (bitset, error) {
	var out bitset
	for _, t := range q {
		got := ix.none()
		flagged(ix.d.flags.partial, got)
		if err := ix.term(fieldBigram, []byte(t), got); err != nil {
			return nil, err
		}
		if out == nil {
			out = got
		} else {
			out.and(got)
		}
	}
	return out, nil
}

// literalWords returns what a text that occurs somewhere asks of the words;
// start and end say that no word goes on beyond its ends.
func literalWords(s string, start, end bool) wordQuery {
	var all allWords
	for i := 0; i < len(s); {
		if byteClass[s[i]] == 0 {
			i++
			continue
		}
		from := i
		for i < len(s) && byteClass[s[i]] != 0 {
			i++
		}
		all = append(all, wordQueries(s[from:i], from > 0 || start, i < len(s) || end)...)
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// wordQueries returns what a piece of a word asks. Bytes that are not UTF-8 ask
// nothing: folding may have read them in another way in the text, and a search
// ignoring case takes U+FFFD for any of them.
func wordQueries(s string, start, end bool) []wordQuery {
	if !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError) {
		return nil
	}
	folded := foldWord(s)
	if start && end {
		return []wordQuery{wholeWord(folded)}
	}
	var out []wordQuery
	at := 0
	eachRun(folded, func(run string, cjk bool) {
		from := at + strings.Index(folded[at:], run)
		at = from + len(run)
		if cjk {
			var grams bigramRun
			eachBigram(run, func(t string) { grams = append(grams, t) })
			if len(grams) > 0 {
				out = append(out, grams)
			}
			return
		}
		if len(run) < minPart || len(run) > maxTerm {
			return
		}
		p := wordPart{text: run, start: start && from == 0, end: end && at == len(folded), left: from > 0, right: at < len(folded)}
		if p.left || p.right {
			// beside digits or CJK the word is no term unless it is short
			p.start, p.end = p.start && !p.left, p.end && !p.right
		}
		out = append(out, p)
	})
	return out
}

// maxRegexpWork bounds the pieces taken out of a regular expression.
const maxRegexpWork = 64

// regexpWords returns what a regular expression asks of the words of a text that
// it matches.
func regexpWords(pattern string, fold bool) wordQuery {
	flags := syntax.Perl
	if fold {
		flags |= syntax.FoldCase
	}
	re, err := syntax.Parse(pattern, flags)
	if err != nil {
		return nil
	}
	work := maxRegexpWork
	return regexpNode(re.Simplify(), &work)
}

func regexpNode(re *syntax.Regexp, work *int) wordQuery {
	if *work--; *work < 0 {
		return nil
	}
	switch re.Op {
	case syntax.OpLiteral:
		return literalWords(string(re.Rune), false, false)
	case syntax.OpCapture, syntax.OpPlus:
		return regexpNode(re.Sub[0], work)
	case syntax.OpRepeat:
		if re.Min > 0 {
			return regexpNode(re.Sub[0], work)
		}
	case syntax.OpAlternate:
		var any anyWords
		for _, sub := range re.Sub {
			q := regexpNode(sub, work)
			if q == nil {
				return nil
			}
			any = append(any, q)
		}
		return any
	case syntax.OpConcat:
		return regexpConcat(re.Sub, work)
	}
	return nil
}

// regexpConcat joins neighbouring literals; what stands beside them may go on
// with their words.
func regexpConcat(subs []*syntax.Regexp, work *int) wordQuery {
	var all allWords
	var lit []rune
	flush := func() {
		if q := literalWords(string(lit), false, false); q != nil {
			all = append(all, q)
		}
		lit = lit[:0]
	}
	for _, sub := range subs {
		for sub.Op == syntax.OpCapture && sub.Sub[0].Op == syntax.OpLiteral {
			sub = sub.Sub[0]
		}
		switch sub.Op {
		case syntax.OpLiteral:
			lit = append(lit, sub.Rune...)
		case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		default:
			flush()
			if q := regexpNode(sub, work); q != nil {
				all = append(all, q)
			}
		}
	}
	flush()
	if len(all) == 0 {
		return nil
	}
	return all
}
