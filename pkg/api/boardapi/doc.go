// Package boardapi keeps dashboards and serves them: documents that the UI
// writes and only the UI understands, one file each, by tenant.
//
// GET /api/braid/v1/dashboards lists them; GET, PUT and DELETE
// /api/braid/v1/dashboards/{id} act on one. A PUT that was answered is on disk:
// a new file, synced, renamed over the old one, the folder synced.
package boardapi
