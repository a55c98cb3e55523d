// Package shared is how several alerters agree on what an API has set in one of
// them: the newest change of each thing wins, and what was deleted is
// remembered for a while, so that nobody who was away brings it back.
//
// Record is one thing's newest change. Set is what one kind of things tells the
// others and takes from them, over a gossip that it does not know: it is bounded
// in what it sends and in what it takes, and works on what came outside the
// gossip's own goroutine.
package shared
