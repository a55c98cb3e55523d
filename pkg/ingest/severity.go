package ingest

import (
	"strings"

	"braid/pkg/model"
)

// severityKeys are the names under which loggers write the level.
var severityKeys = []string{"level", "severity", "lvl", "log.level", "loglevel"}

// findSeverity gives a record that has no number the severity that its text
// names, else an attribute, else its line. The text is set only where it stood
// by itself, so that what was read out of a line can be told from it.
func findSeverity(r *model.LogRecord) {
	if r.SeverityText != "" {
		r.Severity = SeverityOf(r.SeverityText)
		return
	}
	for _, key := range severityKeys {
		val, ok := r.Attrs.Get(key)
		if !ok {
			continue
		}
		switch val.Kind() {
		case model.KindString:
			if n := SeverityOf(val.Str()); n != 0 {
				r.Severity, r.SeverityText = n, val.Str()
				return
			}
		case model.KindInt:
			if n := numbered(val.AsInt()); n != 0 {
				r.Severity = n
				return
			}
		}
	}
	if r.Body.Kind() == model.KindString {
		r.Severity = lineSeverity(r.Body.Str())
	}
}

// SeverityOf reads a level by name, in any case; 0 when it is none.
func SeverityOf(text string) model.SeverityNumber {
	if len(text) > 16 {
		return 0
	}
	switch strings.ToLower(text) {
	case "trace":
		return 1
	case "debug", "dbg":
		return 5
	case "info", "information", "informational":
		return 9
	case "notice":
		return 10
	case "warn", "warning", "wrn":
		return 13
	case "error", "err", "eror":
		return 17
	case "critical", "crit":
		return 18
	case "alert":
		return 19
	case "fatal", "emergency", "emerg", "panic":
		return 21
	}
	return 0
}

// numbered reads a level as Bunyan and Pino count it: 10 is trace, 60 fatal.
func numbered(level int64) model.SeverityNumber {
	if level < 10 || level > 60 || level%10 != 0 {
		return 0
	}
	return [...]model.SeverityNumber{1, 5, 9, 13, 17, 21}[level/10-1]
}

// syslogSeverities are the severities of RFC 5424, 6.2.1.
var syslogSeverities = [8]model.SeverityNumber{21, 19, 18, 17, 13, 10, 9, 5}

// headOfLine is how much of a line is looked through for its level: loggers write
// it at the begin.
const headOfLine = 256

// lineSeverity reads the level out of a plain line: as syslog and klog begin it,
// behind a key (level=warn), in brackets ([error]), as a word of its own in
// capitals (WARN), before the first colon (panic: …), or as Android's logcat has
// it: a letter behind the numbers of process and thread. Words of the message in
// lower case are not levels: "no error was found" has none.
func lineSeverity(line string) model.SeverityNumber {
	line = strings.TrimLeft(line, " \t\r\n")
	line = line[:min(len(line), headOfLine)]
	if n := prefixSeverity(line); n != 0 {
		return n
	}
	best := model.SeverityNumber(0)
	numbers := 0 // words in a row that are numbers
	for i := 0; i < len(line); {
		if !wordByte(line[i]) {
			i++
			continue
		}
		end := i + 1
		for end < len(line) && wordByte(line[end]) {
			end++
		}
		if n := SeverityOf(line[i:end]); n != 0 {
			switch {
			case keyed(line[:i]):
				return n
			case best == 0 && stands(line, i, end):
				best = n
			}
		}
		switch {
		case line[i] >= '0' && line[i] <= '9':
			numbers++
		case best == 0 && numbers >= 2 && end == i+1 && strings.HasPrefix(line[end:], " "):
			best = lettered(line[i])
			fallthrough
		default:
			numbers = 0
		}
		i = end
	}
	return best
}

func wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c >= 0x80
}

// prefixSeverity reads syslog's <13> and klog's E0102.
func prefixSeverity(line string) model.SeverityNumber {
	digits := func(s string) (n, value int) {
		for n < len(s) && n < 4 && '0' <= s[n] && s[n] <= '9' {
			value = value*10 + int(s[n]-'0')
			n++
		}
		return n, value
	}
	if line == "" {
		return 0
	}
	n, value := digits(line[1:])
	switch {
	case line[0] == '<' && n > 0 && n < 4 && value < 192 && strings.HasPrefix(line[1+n:], ">"):
		return syslogSeverities[value%8]
	case n == 4 && strings.HasPrefix(line[5:], " "):
		return lettered(line[0])
	}
	return 0
}

// lettered reads the letters of klog and logcat.
func lettered(c byte) model.SeverityNumber {
	switch c {
	case 'V':
		return 1
	case 'D':
		return 5
	case 'I':
		return 9
	case 'W':
		return 13
	case 'E':
		return 17
	case 'F':
		return 21
	}
	return 0
}

// keyed reports whether what stands before a word names it a level: level=,
// "lvl": ", severity:
func keyed(before string) bool {
	before = strings.TrimRight(before, ` "'`)
	if before == "" || before[len(before)-1] != '=' && before[len(before)-1] != ':' {
		return false
	}
	before = strings.TrimRight(before[:len(before)-1], ` "'`)
	for _, key := range severityKeys {
		if at := len(before) - len(key); at >= 0 && strings.EqualFold(before[at:], key) && (at == 0 || !wordByte(before[at-1])) {
			return true
		}
	}
	return false
}

// stands reports whether a word that names a level stands as loggers write it.
func stands(line string, from, to int) bool {
	if strings.ToUpper(line[from:to]) == line[from:to] {
		return true
	}
	next := byte(0)
	if to < len(line) {
		next = line[to]
	}
	if from == 0 {
		return next == ':'
	}
	switch line[from-1] {
	case '[':
		return next == ']'
	case '<':
		return next == '>'
	case '(':
		return next == ')'
	case '|':
		return next == '|'
	}
	return false
}
