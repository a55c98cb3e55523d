// Package federate answers questions that join signals on a correlation id.
//
// The life of a query: the text (Parse) names some queries, each in the
// language of its signal, then says from which of them rows are made, which
// others they are joined with, and what is done with the rows. Engine.Plan has
// the languages read their parts (their parsers are given to New: this package
// knows none of them) and checks names and columns. Engine.Run asks the first
// query for its records, and keeps for each correlation id one entry: when,
// which service, how many, and the columns asked for; never a record. Then it
// asks the others, keeping only ids that can still matter; joins; and filters,
// groups, sorts and cuts what is left. Ids travel, not rows, and their number
// and bytes are bounded.
//
// docs/federation.md tells users the same with examples that are run as tests.
package federate
