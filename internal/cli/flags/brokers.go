package flags

// Brokers say which brokers a process is joined to. Neither is needed.
type Brokers struct {
	CommandBus string `help:"Broker that commands come from, beside the API: redis://… or rediss://…; for the command role." env:"LOYALTY_COMMAND_BUS" placeholder:"URL"`
	EventBus   string `help:"Broker that changes of points are published to: redis://… or rediss://…; for the project role." env:"LOYALTY_EVENT_BUS" placeholder:"URL"`
}
