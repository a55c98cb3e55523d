package logstore

import (
	"math/bits"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/cjk"
	bleveunicode "github.com/blevesearch/bleve/v2/analysis/tokenizer/unicode"
)

// A text is cut into words as predicate.WordByte defines them: maximal runs of
// ASCII letters, digits, '_' and bytes of other characters. A word is folded,
// so that words that differ only in case are one, and is then
//
//   - a term (field "w"): without digits and at most maxTerm bytes, or of up to
//     three bytes;
//   - else an id: its hash goes to the id index. What it consists of stays
//     findable in part: its runs of letters become terms of the field "l", its
//     runs of Chinese and Japanese characters become bleve's bigrams, field "c".
//
// The classes are part of the format: a query classes its words in the same way.
const (
	fieldWord   = "w"
	fieldPart   = "l"
	fieldBigram = "c"
	fieldAttr   = "a"

	// maxTerm bounds a term: longer words are noise (base64, hex dumps).
	maxTerm = 48
	// minPart is the least length of a run of letters that is worth a term.
	minPart = 3
	// shortWord is the length up to which a word with digits is a term too.
	shortWord = 3
)

const (
	classLetter  = 1 << 8
	classDigit   = 1 << 9
	classForeign = 1 << 10
)

// byteClass holds, for a byte of a word, its folded form and its class; 0 for
// the bytes between words.
var byteClass = func() (t [256]uint16) {
	for c := range t {
		switch {
		case c >= 'a' && c <= 'z' || c == '_':
			t[c] = uint16(c) | classLetter
		case c >= 'A' && c <= 'Z':
			t[c] = uint16(c+'a'-'A') | classLetter
		case c >= '0' && c <= '9':
			t[c] = uint16(c) | classDigit
		case c >= 0x80:
			t[c] = uint16(c) | classForeign
		}
	}
	return t
}()

const (
	hashSeed = 0x9e3779b97f4a7c15
	hashMul  = 0xd6e8feb86659fd93
)

// mix is one step of the hash of words. It is on disk, in the id index: it
// never changes.
func mix(h, w uint64) uint64 {
	hi, lo := bits.Mul64(h^w, hashMul)
	return hi ^ lo
}

// hashWord hashes a folded word: eight bytes a step, big end first, then what is
// left and the length.
func hashWord(s string) (h, first uint64) {
	h = hashSeed
	w := uint64(0)
	for i := range len(s) {
		w = w<<8 | uint64(s[i])
		if i&7 == 7 {
			if i == 7 {
				first = w
			}
			h = mix(h, w)
			w = 0
		}
	}
	if len(s) < 8 {
		first = w
	}
	return mix(h, w^uint64(len(s))<<56), first
}

// wordHash is what a word that is an id has in the id index.
func wordHash(h uint64) uint64 { return mix(h, 0x776f726473) }

// foldWord returns the folded form of a word.
func foldWord(s string) string {
	clean := true
	for i := range len(s) {
		if c := byteClass[s[i]]; c&classForeign != 0 || byte(c) != s[i] {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	return string(appendFolded(make([]byte, 0, len(s)), s))
}

func appendFolded(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			dst = append(dst, byte(byteClass[s[i]]))
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n <= 1 {
			dst = append(dst, s[i]) // not UTF-8: as it is
		} else {
			dst = utf8.AppendRune(dst, foldRune(r))
		}
		i += n
	}
	return dst
}

// foldRune returns one representative of the characters that a search ignoring
// case takes for the same: the ASCII letter if there is one (the Kelvin sign is
// a k), else the least.
func foldRune(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if least >= 'A' && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// isCJK reports whether a character belongs to a script that writes words
// without anything between them.
func isCJK(r rune) bool {
	return r >= 0x3040 && (unicode.Is(unicode.Han, r) || unicode.Is(unicode.Hiragana, r) || unicode.Is(unicode.Katakana, r))
}

// wordClass is what becomes of a folded word.
type wordClass uint8

const (
	classTerm wordClass = iota
	classID
)

func classOf(folded string) wordClass {
	if len(folded) > maxTerm {
		return classID
	}
	digit, foreign := false, false
	for i := range len(folded) {
		digit = digit || byteClass[folded[i]]&classDigit != 0
		foreign = foreign || folded[i] >= utf8.RuneSelf
	}
	if digit && len(folded) > shortWord || foreign && hasCJK(folded) {
		return classID
	}
	return classTerm
}

func hasCJK(s string) bool {
	for _, r := range s {
		if isCJK(r) {
			return true
		}
	}
	return false
}

// eachRun yields the runs of a folded word between digits: of letters, or of
// Chinese and Japanese characters.
func eachRun(folded string, yield func(run string, cjk bool)) {
	from, wasCJK := 0, false
	flush := func(to int) {
		if to > from {
			yield(folded[from:to], wasCJK)
		}
	}
	for i, r := range folded {
		if r < utf8.RuneSelf && byteClass[r]&classDigit != 0 {
			flush(i)
			from = i + 1
			continue
		}
		if c := isCJK(r); c != wasCJK {
			flush(i)
			from, wasCJK = i, c
		}
	}
	flush(len(folded))
}

var (
	segmenter = bleveunicode.NewUnicodeTokenizer()
	bigrams   = cjk.NewCJKBigramFilter(false)
)

// eachBigram yields bleve's bigrams of a run of Chinese and Japanese characters:
// every two neighbours.
func eachBigram(run string, yield func(term string)) {
	for _, tok := range bigrams.Filter(segmenter.Tokenize([]byte(run))) {
		if tok.Type == analysis.Double {
			yield(string(tok.Term))
		}
	}
}
