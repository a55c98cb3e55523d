package logql

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

func (a *LineArg) compile(op string) error {
	if a.IP {
		if op != "|=" && op != "!=" {
			return fmt.Errorf("ip() stands behind |= or != only, not %s", op)
		}
		ip, err := parseIPPattern(a.Text)
		if err != nil {
			return err
		}
		a.test = ip.inLine
		return nil
	}
	text := a.Text
	switch op {
	case "|=", "!=":
		a.test = func(line string) bool { return strings.Contains(line, text) }
	case "|~", "!~":
		re, err := compileSearch(text)
		if err != nil {
			return err
		}
		a.test = re.MatchString
	default:
		test, err := patternTest(text)
		if err != nil {
			return err
		}
		a.test = test
	}
	return nil
}

// negated reports whether the filter keeps lines that no argument matches.
func (f *LineFilter) negated() bool { return f.Op[0] == '!' }

func (f *LineFilter) process(e *entry) bool {
	for i := range f.Args {
		if f.Args[i].test(e.line) {
			return !f.negated()
		}
	}
	return f.negated()
}

func (f *LabelFilter) process(e *entry) bool { return f.Cond.holds(e) }

// ipPattern is one address, a range a-b, or a CIDR.
type ipPattern struct {
	lo, hi netip.Addr
}

func parseIPPattern(s string) (ipPattern, error) {
	bad := fmt.Errorf("%q is not an IP pattern: expected an address, a range such as 10.0.0.1-10.0.0.9, or a CIDR such as 10.0.0.0/8", s)
	if a, b, ok := strings.Cut(s, "-"); ok {
		lo, err := netip.ParseAddr(strings.TrimSpace(a))
		hi, err2 := netip.ParseAddr(strings.TrimSpace(b))
		if err != nil || err2 != nil || lo.BitLen() != hi.BitLen() || hi.Less(lo) {
			return ipPattern{}, bad
		}
		return ipPattern{lo, hi}, nil
	}
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return ipPattern{}, bad
		}
		p = p.Masked()
		raw := p.Addr().AsSlice()
		for i := p.Bits(); i < len(raw)*8; i++ {
			raw[i/8] |= 0x80 >> (i % 8)
		}
		hi, _ := netip.AddrFromSlice(raw)
		return ipPattern{p.Addr(), hi}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return ipPattern{}, bad
	}
	return ipPattern{a, a}, nil
}

func (p ipPattern) contains(a netip.Addr) bool {
	a = a.WithZone("")
	if a.Is4In6() && p.lo.Is4() {
		a = a.Unmap()
	}
	return a.BitLen() == p.lo.BitLen() && !a.Less(p.lo) && !p.hi.Less(a)
}

// matchWhole tries a text that should be one address; any other matches none.
func (p ipPattern) matchWhole(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && p.contains(a)
}

// inLine looks for an address of the pattern anywhere in a line.
func (p ipPattern) inLine(s string) bool {
	for i := 0; i < len(s); {
		if !ipByte(s[i]) {
			i++
			continue
		}
		start := i
		for i < len(s) && ipByte(s[i]) {
			i++
		}
		if word := s[start:i]; len(word) >= 2 && len(word) <= 64 && p.inWord(word) {
			return true
		}
	}
	return false
}

// inWord tries a run of address characters, also without a port or the
// punctuation around it.
func (p ipPattern) inWord(w string) bool {
	w = strings.TrimRight(w, ".:")
	if a, err := netip.ParseAddr(w); err == nil {
		return p.contains(a)
	}
	if host, _, ok := strings.Cut(w, ":"); ok {
		if a, err := netip.ParseAddr(host); err == nil {
			return p.contains(a)
		}
	}
	return false
}

func ipByte(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == '.' || c == ':'
}

func (k *Keep) process(e *entry) bool { e.keep(k.Items); return true }
func (d *Drop) process(e *entry) bool { e.drop(d.Items); return true }

var errEmptyName = errors.New("expected a label name, found an empty string")
