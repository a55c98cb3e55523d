// Package rules measures what evaluating alerting rules costs.
package rules
