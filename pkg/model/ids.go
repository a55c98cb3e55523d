package model

import (
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
)

// TraceID is a W3C trace id; the zero value means none.
type TraceID [16]byte

// SpanID is a W3C span id; the zero value means none.
type SpanID [8]byte

// IsZero reports whether the id is absent.
func (t TraceID) IsZero() bool { return t == TraceID{} }

// String returns 32 lower-case hex digits, Braid's one spelling of a trace id.
func (t TraceID) String() string { return hex.EncodeToString(t[:]) }

// IsZero reports whether the id is absent.
func (s SpanID) IsZero() bool { return s == SpanID{} }

// String returns 16 lower-case hex digits.
func (s SpanID) String() string { return hex.EncodeToString(s[:]) }

// ParseSpanID reads up to 16 hex digits, leading zeros optional.
func ParseSpanID(s string) (id SpanID, ok bool) {
	if s == "" || len(s) > 16 {
		return id, false
	}
	if len(s) < 16 {
		s = strings.Repeat("0", 16-len(s)) + s
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err == nil
}

// ParseTraceID returns the likeliest reading of a trace id: see TraceIDReadings.
func ParseTraceID(s string) (TraceID, bool) {
	r := TraceIDReadings(s)
	if len(r) == 0 {
		return TraceID{}, false
	}
	return r[0], true
}

// TraceIDReadings returns every trace id that a text may stand for, likeliest
// first: hex with or without leading zeros (1 to 32 digits, any case, dashes
// of a UUID allowed), X-Ray's "1-5759e988-bd862e3fe1be46a994272793", alone or in its header, Google's
// "projects/p/traces/ID", a W3C traceparent, base64 of 16 or 8 bytes, and the
// decimal 64-bit ids of Datadog. A number of 17 to 20 digits is read as decimal
// first. A zero id is no id.
func TraceIDReadings(s string) []TraceID {
	s = strings.TrimSpace(s)
	if i := strings.LastIndex(s, "/traces/"); i >= 0 {
		s = s[i+len("/traces/"):]
	}
	if i := strings.Index(s, "Root=1-"); i >= 0 { // the header x-amzn-trace-id
		s, _, _ = strings.Cut(s[i+len("Root="):], ";")
	}
	if p := strings.Split(s, "-"); len(p) == 4 && len(p[0]) == 2 && len(p[1]) == 32 && len(p[2]) == 16 {
		s = p[1] // traceparent
	} else if len(p) == 3 && p[0] == "1" && len(p[1]) == 8 && len(p[2]) == 24 {
		s = p[1] + p[2] // X-Ray
	} else if len(p) == 5 && len(s) == 36 {
		s = strings.ReplaceAll(s, "-", "") // UUID
	}
	var out []TraceID
	add := func(id TraceID) {
		if id.IsZero() {
			return
		}
		for _, o := range out {
			if o == id {
				return
			}
		}
		out = append(out, id)
	}
	if s == "" || len(s) > 44 {
		return nil
	}
	decimal := func() {
		if n, ok := new(big.Int).SetString(s, 10); ok && n.BitLen() <= 128 {
			var id TraceID
			n.FillBytes(id[:])
			add(id)
		}
	}
	isDecimal := len(s) <= 39 && strings.Trim(s, "0123456789") == ""
	if isDecimal && len(s) >= 17 && len(s) <= 20 {
		// Nearly all decimal ids of 64 bits are so long, and no hex id is: those
		// have 16 or 32 digits.
		decimal()
	}
	if len(s) <= 32 {
		var id TraceID
		padded := strings.Repeat("0", 32-len(s)) + s
		if _, err := hex.Decode(id[:], []byte(padded)); err == nil {
			add(id)
		}
	}
	if isDecimal {
		decimal()
	}
	if len(s) == 24 || len(s) == 12 || len(s) == 22 || len(s) == 11 {
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			b, err := enc.DecodeString(s)
			if err == nil && (len(b) == 16 || len(b) == 8) {
				var id TraceID
				copy(id[16-len(b):], b)
				add(id)
			}
		}
	}
	return out
}
