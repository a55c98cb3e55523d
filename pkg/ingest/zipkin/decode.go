package zipkin

import (
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"sort"
	"strings"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"braid/pkg/otlp"
)

// span is a Zipkin v2 span; times are microseconds.
type span struct {
	TraceID   string            `json:"traceId"`
	ID        string            `json:"id"`
	ParentID  string            `json:"parentId"`
	Kind      string            `json:"kind"`
	Name      string            `json:"name"`
	Timestamp uint64            `json:"timestamp"`
	Duration  uint64            `json:"duration"`
	Local     endpoint          `json:"localEndpoint"`
	Remote    endpoint          `json:"remoteEndpoint"`
	Notes     []note            `json:"annotations"`
	Tags      map[string]string `json:"tags"`
}

type endpoint struct {
	Service string `json:"serviceName"`
	IPv4    string `json:"ipv4"`
	IPv6    string `json:"ipv6"`
	Port    int    `json:"port"`
}

type note struct {
	Timestamp uint64 `json:"timestamp"`
	Value     string `json:"value"`
}

func readJSON(body []byte, b *otlp.Buffers) ([]span, error) {
	// What the JSON library and convert make of it: at the worst, "{}," of a span.
	if err := b.Charge(4*len(body) + strings.Count(alias(body), "{")*int(unsafe.Sizeof(span{}))); err != nil {
		return nil, err
	}
	var out []span
	err := json.Unmarshal(body, &out)
	return out, err
}

func alias(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

var kinds = []string{"", "CLIENT", "SERVER", "PRODUCER", "CONSUMER"}

func readProtobuf(body []byte, b *otlp.Buffers) ([]span, error) {
	var out []span
	err := fields(body, func(f field) error {
		if f.num != 1 || f.bytes == nil {
			return nil
		}
		if err := b.Charge(2*int(unsafe.Sizeof(span{})) + 4*len(f.bytes)); err != nil {
			return err
		}
		s, err := protoSpan(f.bytes)
		out = append(out, s)
		return err
	})
	return out, err
}

func protoSpan(b []byte) (s span, err error) {
	err = fields(b, func(f field) (err error) {
		switch f.num {
		case 1:
			s.TraceID = hex.EncodeToString(f.bytes)
		case 2:
			s.ParentID = hex.EncodeToString(f.bytes)
		case 3:
			s.ID = hex.EncodeToString(f.bytes)
		case 4:
			if f.n < uint64(len(kinds)) {
				s.Kind = kinds[f.n]
			}
		case 5:
			s.Name = string(f.bytes)
		case 6:
			s.Timestamp = f.n
		case 7:
			s.Duration = f.n
		case 8:
			s.Local, err = protoEndpoint(f.bytes)
		case 9:
			s.Remote, err = protoEndpoint(f.bytes)
		case 10:
			var n note
			n.Value, n.Timestamp, err = pair(f.bytes)
			s.Notes = append(s.Notes, n)
		case 11:
			var key, value string
			key, value, err = entry(f.bytes)
			if s.Tags == nil {
				s.Tags = map[string]string{}
			}
			s.Tags[key] = value
		}
		return err
	})
	return s, err
}

func protoEndpoint(b []byte) (e endpoint, err error) {
	err = fields(b, func(f field) error {
		switch f.num {
		case 1:
			e.Service = string(f.bytes)
		case 2, 3:
			if a, ok := netip.AddrFromSlice(f.bytes); ok && f.num == 2 {
				e.IPv4 = a.String()
			} else if ok {
				e.IPv6 = a.String()
			}
		case 4:
			e.Port = int(int32(f.n))
		}
		return nil
	})
	return e, err
}

// pair reads an annotation: its time (1) and value (2).
func pair(b []byte) (value string, at uint64, err error) {
	err = fields(b, func(f field) error {
		switch f.num {
		case 1:
			at = f.n
		case 2:
			value = string(f.bytes)
		}
		return nil
	})
	return value, at, err
}

// entry reads an entry of a map: key (1) and value (2).
func entry(b []byte) (key, value string, err error) {
	err = fields(b, func(f field) error {
		switch f.num {
		case 1:
			key = string(f.bytes)
		case 2:
			value = string(f.bytes)
		}
		return nil
	})
	return key, value, err
}

// field is one field of a message: bytes of a length-delimited one, n of a
// number.
type field struct {
	num   protowire.Number
	bytes []byte
	n     uint64
}

func fields(b []byte, each func(field) error) error {
	for len(b) > 0 {
		num, wire, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		f := field{num: num}
		switch wire {
		case protowire.BytesType:
			f.bytes, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			f.n, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.n, size = protowire.ConsumeFixed64(b)
		default:
			size = protowire.ConsumeFieldValue(num, wire, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// sortedTags are the names in order: Go's maps have none.
func sortedTags(tags map[string]string) []string {
	names := make([]string, 0, len(tags))
	for n := range tags {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
