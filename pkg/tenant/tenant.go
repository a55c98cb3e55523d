// Package tenant names who data belongs to. The tenant is read from the
// request once, at the edge, checked there, and is an argument everywhere
// below: never hidden in a context.
package tenant

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Header carries the tenant on HTTP; gRPC uses it in lower case as metadata.
const Header = "X-Scope-OrgID"

// Default is the tenant of requests that name none.
const Default ID = "default"

// ID is a valid tenant name: it may stand in a path. Make one with Parse.
type ID string

// ErrInvalid is wrapped by every error of Parse.
var ErrInvalid = errors.New("invalid tenant")

// maxLength is the limit that Loki, Mimir and Tempo share.
const maxLength = 150

// Parse checks a tenant name; "" means Default. Letters, digits and !-_.*'()
// are allowed (the set Loki and Tempo allow); "." and ".." are not.
func Parse(s string) (ID, error) {
	if s == "" {
		return Default, nil
	}
	if len(s) > maxLength {
		return "", fmt.Errorf("%w: name in header %s is %d bytes long, at most %d are allowed", ErrInvalid, Header, len(s), maxLength)
	}
	if s == "." || s == ".." {
		return "", fmt.Errorf("%w: %q in header %s is not a name", ErrInvalid, s, Header)
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || slices.Contains([]byte("!-_.*'()"), c) {
			continue
		}
		return "", fmt.Errorf("%w: character %q in header %s; letters, digits and !-_.*'() are allowed", ErrInvalid, c, Header)
	}
	return ID(s), nil
}

// FromHTTP reads the tenant of a request.
func FromHTTP(r *http.Request) (ID, error) { return Parse(r.Header.Get(Header)) }
