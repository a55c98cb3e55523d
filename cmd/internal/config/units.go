package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Duration is written as 90s, 5m, 15d.
type Duration time.Duration

// String writes it back.
func (d Duration) String() string { return model.Duration(d).String() }

// Std returns the standard library's form.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// UnmarshalYAML reads it.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := model.ParseDuration(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is no duration; write 90s, 5m, 2h, 15d", n.Line, n.Value)
	}
	*d = Duration(v)
	return nil
}

// MarshalYAML writes it.
func (d Duration) MarshalYAML() (any, error) { return d.String(), nil }

// Size is a number of bytes, written as 64MiB, 10GB, 4096.
type Size int64

var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// ParseSize reads a size.
func ParseSize(s string) (Size, error) {
	s = strings.TrimSpace(s)
	scale := int64(1)
	num := s
	for _, u := range units {
		if strings.HasSuffix(s, u.name) {
			scale, num = u.bytes, strings.TrimSpace(strings.TrimSuffix(s, u.name))
			break
		}
	}
	f, err := strconv.ParseFloat(num, 64)
	if err != nil || f < 0 || f*float64(scale) > 1<<62 {
		return 0, fmt.Errorf("%q is no size; write 64MiB, 10GB or a number of bytes", s)
	}
	return Size(f * float64(scale)), nil
}

// String writes it in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range units[:4] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalYAML reads it.
func (s *Size) UnmarshalYAML(n *yaml.Node) error {
	v, err := ParseSize(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*s = v
	return nil
}

// MarshalYAML writes it.
func (s Size) MarshalYAML() (any, error) { return s.String(), nil }
