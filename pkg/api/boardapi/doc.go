// Package boardapi keeps what people make in the UI and serves it: documents
// that the UI writes and only the UI understands, one file each, by tenant.
//
// GET /api/braid/v1/dashboards lists dashboards; GET, PUT and DELETE
// /api/braid/v1/dashboards/{id} act on one. Saved views
// (/api/braid/v1/views) and notes on charts (/api/braid/v1/notes) are kept the
// same way; they are small, so their lists carry the documents. POST
// /api/braid/v1/links keeps a place of the UI under a short id made of its
// content, GET /api/braid/v1/links/{id} answers it.
//
// A change that was answered is on disk: a new file, synced, renamed over the
// old one, the folder synced.
package boardapi
