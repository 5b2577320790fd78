package embedded

import "google.golang.org/grpc"

// Beside has the server serve more than an event store, for a test.
func (o Options) Beside(register func(grpc.ServiceRegistrar)) Options {
	o.register = register
	return o
}
