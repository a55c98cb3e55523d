package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Document writes docs/configuration.md.
func Document() string {
	var b strings.Builder
	b.WriteString(`# Configuration

One YAML file, given by ` + "`--config`" + `. Every key has a default: an empty file, or none, is a working
configuration. The file is read strictly: an unknown key is refused with its line and the nearest known key
(` + "`braid check config FILE`" + ` says the same without starting).

Flags and environment variables come before the file: ` + "`--data-dir`, `--http.listen`, `--grpc.listen`, `--otlp.http.listen`,\n`--otlp.grpc.listen`, `--rules` and `--alertmanager.config`" + `, each also as ` + "`BRAID_DATA_DIR`" + ` and so on.

Flags need a restart. A changed file is read again on SIGHUP and on ` + "`POST /-/reload`" + `: limits, tenants, correlation kinds
and alerting take effect at once, the other keys at the next start. A broken file changes nothing and is reported.

Durations are written as ` + "`90s`, `5m`, `2h`, `15d`; sizes as `64MiB`, `10GB`" + ` or a number of bytes.

This page is generated from the code.
`)
	section(&b, reflect.ValueOf(*Default()), "")
	return b.String()
}

func section(b *strings.Builder, v reflect.Value, path string) {
	t := v.Type()
	var plain, nested []int
	for i := range t.NumField() {
		if t.Field(i).Type.Kind() == reflect.Struct {
			nested = append(nested, i)
		} else {
			plain = append(plain, i)
		}
	}
	if len(plain) > 0 {
		b.WriteString("\n| key | default | meaning |\n|---|---|---|\n")
		for _, i := range plain {
			f := t.Field(i)
			fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", path, f.Tag.Get("yaml"), defaultText(v.Field(i)), strings.ReplaceAll(f.Tag.Get("doc"), "|", "\\|"))
		}
	}
	for _, i := range nested {
		f := t.Field(i)
		name := path + f.Tag.Get("yaml")
		fmt.Fprintf(b, "\n%s `%s`\n%s\n", strings.Repeat("#", 2+strings.Count(name, ".")), name, f.Tag.Get("doc"))
		section(b, v.Field(i), name+".")
	}
}

func defaultText(v reflect.Value) string {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return "`" + s.String() + "`"
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			return "none"
		}
	case reflect.String:
		if v.Len() == 0 {
			return "none"
		}
	}
	return fmt.Sprintf("`%v`", v.Interface())
}
