package cli

import (
	"fmt"
	"sort"
)

type logLine struct {
	ns                   int64
	service, level, text string
}

// printLines prints log lines oldest first.
func printLines(lines []logLine) {
	sort.SliceStable(lines, func(i, j int) bool { return lines[i].ns < lines[j].ns })
	for _, l := range lines {
		fmt.Printf("%s  %-5s %-16s %s\n", clock(l.ns), l.level, l.service, l.text)
	}
}
