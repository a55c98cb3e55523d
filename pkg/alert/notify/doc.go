// Package notify pages people. It is Prometheus Alertmanager inside the
// process: an unchanged alertmanager.yml gives the routing tree, grouping,
// inhibition, silences, mute times and every receiver; its v2 API is served for
// amtool, Karma and Grafana.
//
// The life of an alert: Put hands it to Alertmanager's store; the dispatcher
// groups it by the routing tree; the pipeline mutes, deduplicates by the
// notification log, and sends with retries. Silences and the notification log
// are kept on disk: a restart neither forgets a silence nor pages again.
//
// Reload builds everything that a configuration decides and swaps it; a broken
// configuration leaves the old one in place.
package notify
