// Package config is the one shape of Braid's configuration: what can be set,
// what it means, its default, and the checks. One YAML file, strictly read: an
// unknown key is an error that names its line and the nearest known key. Flags
// and BRAID_… environment variables come before the file.
//
// docs/configuration.md is generated from this package; a test keeps it so.
package config
