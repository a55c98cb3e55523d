package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// profileOfLoad is the length of one profile while records are taken: there are
	// several, and go tool pprof adds them up.
	profileOfLoad = 5 * time.Second
	// profileOfQuestion is how long a question is asked when it is profiled.
	profileOfQuestion = 2 * time.Second
)

// saveProfile writes what a path of the server's /debug/pprof answers.
func (o *options) saveProfile(ctx context.Context, path, file string) error {
	body, err := o.body(ctx, o.loki+"/debug/pprof/"+path)
	if err != nil {
		return fmt.Errorf("cannot profile the server: %w", err)
	}
	return os.WriteFile(file, body, 0o644)
}

func cpuProfile(length time.Duration) string {
	return fmt.Sprintf("profile?seconds=%d", int(length.Seconds()))
}

// profileWhile takes CPU profiles of the server, each followed by one of its
// heap, until the function that it returns is called.
func (o *options) profileWhile(ctx context.Context) (stop func() error) {
	end, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-end:
				done <- nil
				return
			default:
			}
			name := fmt.Sprintf("%s.%d", o.profile, n)
			err := o.saveProfile(ctx, cpuProfile(profileOfLoad), name)
			if err == nil {
				err = o.saveProfile(ctx, "heap", name+".heap")
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	return func() error {
		close(end)
		return <-done
	}
}
