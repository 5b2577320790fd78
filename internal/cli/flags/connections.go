package flags

// Connections are the three strings that say where the system keeps what it knows.
type Connections struct {
	Eventstore  string `help:"Where the events are: esdb://… for a cluster, embedded:DIR for a store in a folder." env:"LOYALTY_EVENTSTORE" placeholder:"URL"`
	Ledger      string `help:"Where the ledger is: postgres://… or sqlite:FILE." env:"LOYALTY_LEDGER" placeholder:"URL"`
	Leaderboard string `help:"Where the leaderboard is: redis://…, rediss://…, redis+cluster://…, redis+sentinel://…, or memory: for one in each process." env:"LOYALTY_LEADERBOARD" placeholder:"URL"`
}
