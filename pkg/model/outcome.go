package model

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxReasons bounds the text of a partial success.
const maxReasons = 8

// Rejections says what part of a batch was not taken and why; the rest was.
// The zero value means nothing was rejected.
type Rejections struct {
	Count   int64
	Reasons []string // distinct, at most maxReasons
}

// Add counts n items rejected for a reason, which names the field and the way
// out.
func (r *Rejections) Add(n int64, format string, args ...any) {
	r.Count += n
	if len(r.Reasons) >= maxReasons {
		return
	}
	reason := format
	if len(args) > 0 {
		reason = fmt.Sprintf(format, args...)
	}
	for _, x := range r.Reasons {
		if x == reason {
			return
		}
	}
	r.Reasons = append(r.Reasons, reason)
}

// Merge adds other rejections.
func (r *Rejections) Merge(o Rejections) {
	r.Count += o.Count
	for _, x := range o.Reasons {
		r.Add(0, "%s", x)
	}
}

// Message joins the reasons; "" when there are none.
func (r *Rejections) Message() string { return strings.Join(r.Reasons, "; ") }

// OverloadError means "not now": nothing of the batch was taken, the sender
// should try again after RetryAfter. HTTP 429/503, gRPC Unavailable.
type OverloadError struct {
	Reason     string
	RetryAfter time.Duration
	// Tenant is set when the tenant's own limit was hit (429) rather than the
	// system's (503).
	Tenant bool
}

func (e *OverloadError) Error() string { return e.Reason }

// Errors that every store and source tells apart.
var (
	// ErrNotFound: the thing asked for by name does not exist.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: the caller's fault; the message names the field.
	ErrInvalid = errors.New("invalid")
	// ErrTooMuch: the query would pass a limit; the message says which and
	// what to narrow.
	ErrTooMuch = errors.New("query limit exceeded")
	// ErrChanged: what was asked for has changed since the caller looked at it;
	// look again.
	ErrChanged = errors.New("changed meanwhile")
)

// QueryStats counts what a query cost. Sources add to it while they work; it
// is safe for concurrent use. A nil *QueryStats may be added to.
type QueryStats struct {
	Bytes, Rows, Blocks, BlocksSkipped atomic.Int64

	mu       sync.Mutex
	warnings []string // guarded by mu
}

// AddBytes counts bytes read.
func (s *QueryStats) AddBytes(n int64) {
	if s != nil {
		s.Bytes.Add(n)
	}
}

// AddRows counts rows looked at.
func (s *QueryStats) AddRows(n int64) {
	if s != nil {
		s.Rows.Add(n)
	}
}

// AddBlocks counts blocks opened and blocks ruled out without opening.
func (s *QueryStats) AddBlocks(read, skipped int64) {
	if s != nil {
		s.Blocks.Add(read)
		s.BlocksSkipped.Add(skipped)
	}
}

// Warn notes that the answer is not whole, and why.
func (s *QueryStats) Warn(format string, args ...any) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := fmt.Sprintf(format, args...); len(s.warnings) < 32 {
		s.warnings = append(s.warnings, w)
	}
}

// Warnings returns what was noted.
func (s *QueryStats) Warnings() []string {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.warnings...)
}
