// Package beside asks Braid and another server that speaks Loki's API the same
// questions about the same records, and tells every difference.
//
// It runs only when both addresses are given:
//
//	go test ./test/logs/beside -v -args -peer http://127.0.0.1:3100 -braid http://127.0.0.1:9080 -push
//
// -push sends testdata/records.txt to both first, in Loki's own pushes and over
// OTLP; -lines FOLDER adds the lines of the files there. The records lie in the
// hour that begins at -at. Braid runs with otlp.parse_bodies: false, since the peer
// makes no fields of bodies. The questions are in testdata/*.questions; what may
// differ, and why, stands behind the question.
package beside
