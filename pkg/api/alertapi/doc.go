// Package alertapi answers over HTTP for what alerting keeps: the rule API in
// the shapes of Mimir's and Loki's rulers, the evidence of alerts, their
// history, and the state of rules.
//
// The life of a change of rules: the body is read strictly as one rule group;
// expressions that came by Loki's paths are LogQL and are kept as virtual
// selectors; the group is checked, written durably and loaded; if it cannot be
// loaded the change is taken back and the old rules stay. Receivers cannot be
// set here: who is paged is decided by the operator's file alone.
package alertapi
