package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"loyalty/internal/cli/flags"
)

// healthCommand asks a process whether it is ready, for containers that have no other program to do so.
type healthCommand struct {
	Admin   string        `help:"Where the process answers its operators." default:"http://127.0.0.1:9090" placeholder:"URL"`
	Role    string        `help:"Ask for this role only: command, query or project (default: all roles of the process)." placeholder:"ROLE"`
	Timeout time.Duration `help:"How long it may take." default:"2s"`
}

// Run fails with the process's own answer unless that is ready.
func (c healthCommand) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	address := c.Admin + "/readyz"
	if c.Role != "" {
		address += "?role=" + url.QueryEscape(c.Role)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return flags.Usage(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", said)
	}
	return nil
}
