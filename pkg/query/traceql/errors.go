package traceql

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"braid/pkg/model"
)

// ParseError says where a query is wrong and what was expected there. It is
// the caller's fault: errors.Is(err, model.ErrInvalid).
type ParseError struct {
	Offset       int // bytes from the start
	Line, Column int // from 1; the column counts characters
	Message      string
}

// Error implements error.
func (e *ParseError) Error() string {
	return fmt.Sprintf("parse error at line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Unwrap makes it the caller's fault.
func (e *ParseError) Unwrap() error { return model.ErrInvalid }

func errorAt(src string, offset int, format string, args ...any) error {
	offset = min(offset, len(src))
	before := src[:offset]
	line := strings.Count(before, "\n") + 1
	col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return &ParseError{Offset: offset, Line: line, Column: col, Message: fmt.Sprintf(format, args...)}
}
