// Package generate is a small web shop that never existed, sending real OTLP:
// eight services with their databases and queues, users of two tiers in two
// regions, traffic that rises and falls, errors, deploys, and an incident that
// returns every half hour: a canary of the payment service, in one region, makes
// one tier of users wait for an outside gateway.
//
// A request's life: request (shop.go) walks through the services and leaves
// spans, logs and measurements in a recorder (record.go, measure.go); each
// second of simulated time is sent (send.go). History is the same walk with the
// clock behind. All randomness comes from one seed.
package generate
