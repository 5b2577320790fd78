package flags

// Addresses are where a process answers.
type Addresses struct {
	Addr      string `help:"Address of the API; port 0 picks one." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	AdminAddr string `help:"Address of /healthz, /readyz, /metrics and the page /status; port 0 picks one." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
}
