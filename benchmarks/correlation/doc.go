// Command correlation measures what correlation costs and how fast it is, over
// the three real stores: looking an id up among many blocks, cold and warm,
// known and unknown; joining ten thousand ids over signals; asking what is
// different about some of ten million spans; and what the ids of records cost
// when they are taken in.
//
// The load is that of a shop: each request is a trace of five spans with five
// log records; its edge names a request id and a user, its spans and records
// their trace. README.md says how to run it and what it answered.
package main
