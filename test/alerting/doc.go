// Package alerting tries alerting over real stores: what survives a restart.
package alerting
