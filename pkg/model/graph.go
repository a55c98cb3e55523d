package model

// ServiceEdge says that one service calls another: one line of the service
// graph. Calls and Errors count spans.
type ServiceEdge struct {
	Parent, Child string
	Calls, Errors uint64
}
