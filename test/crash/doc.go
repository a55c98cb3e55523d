// Package crash kills real processes. The tests run a part of Braid in a child
// process on a real disk, send it SIGKILL while it works, and hold what is left
// against what the child had acknowledged. Power loss, which a kill is not, is
// tried on vfs.Crashable in the rooms' own tests.
package crash
