package otlp

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

var jsonTexts = []string{
	`{}`, `[]`, `"a\u00e9\ud83e\uddf6\n"`, `-0.5e+10`, `{"a":[1,2,{"b":null,"c":true}],"d":"\"\\\/"}`, ` [ 1 , false ] `,
	``, `{`, `[1,]`, `{"a":1,}`, `{"a"}`, `01`, `1.`, `.5`, `+1`, `tru`, `nulll`, `"\x"`, "\"a\nb\"", `{"a":1}{`, `"\ud800"`, `"\ud800\u0041"`, `[1 2]`, `-`,
}

// sound reads text as one JSON value.
func sound(text []byte) error {
	s := scanner{b: text}
	s.skip()
	s.end()
	return s.err
}

func TestScannerKnowsJSON(t *testing.T) {
	for _, text := range jsonTexts {
		require.Equal(t, json.Valid([]byte(text)), sound([]byte(text)) == nil, text)
	}
}

func TestStringsAreUnescaped(t *testing.T) {
	for _, text := range jsonTexts {
		var want string
		if text == "" || text[0] != '"' || json.Unmarshal([]byte(text), &want) != nil {
			continue
		}
		s := scanner{b: []byte(text)}
		require.Equal(t, want, string(s.str()), text)
	}
}

func FuzzScannerAgainstEncodingJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := sound(text)
		if errors.Is(err, errJSONDepth) {
			return
		}
		if json.Valid(text) != (err == nil) {
			t.Fatalf("%q: %v", text, err)
		}
		var want string
		if err == nil && json.Unmarshal(text, &want) == nil && len(text) > 0 && strings.TrimLeft(string(text), " \t\r\n")[0] == '"' {
			s := scanner{b: text}
			if got := strings.ToValidUTF8(string(s.str()), "\uFFFD"); strings.ToValidUTF8(want, "\uFFFD") != got && !strings.Contains(want, "\uFFFD") {
				t.Fatalf("%q reads as %q, not %q", text, got, want)
			}
		}
	})
}

// FuzzFields: attributes made of a line have keys of their own, and leave those
// that were there as they were.
func FuzzFields(f *testing.F) {
	f.Add(`{"a":{"b":1,"c":[1]},"k":"mine","a.b":2}`)
	f.Add(`level=info msg="all \"done\"" k=5 x= "stray" =y n=-1.5e3`)
	f.Fuzz(func(t *testing.T, line string) {
		b := Get()
		defer Put(b)
		had := model.Attrs{{Key: "k", Value: model.String("v")}}
		for _, got := range []model.Attrs{b.AddLeaves(line, had), b.AddLogfmt(line, had)} {
			require.Equal(t, had[0], got[0])
			seen := map[string]bool{}
			for _, a := range got {
				require.False(t, seen[a.Key], "key %q twice", a.Key)
				require.NotEmpty(t, a.Key)
				seen[a.Key] = true
			}
		}
	})
}
