// Package correlation turns one id into the whole request, across services and
// signals, with no time range.
//
// The life of a look-up: the text is read as every kind of id that it may be;
// each reading is asked of the span, log and exemplar sources, whose blocks
// answer from their id indexes; records found name further ids (a span that
// carries trace T and request R makes them aliases), which are followed to a
// bound; what was found is put in causal order, and what is missing is said.
//
// The same package answers the way back: which requests are behind a number
// (Behind), and what sets some requests apart from the rest (Outliers).
package correlation
