//go:build !linux

package main

import "errors"

func evict(string) error { return errors.New("cold files can be measured on Linux only") }
