package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
)

// tokenCommand prints a bearer token signed with the secret of a data folder. It is for development: in production
// tokens come from the identity provider.
type tokenCommand struct {
	Data    app.Folder    `help:"Data folder of the process the token is for." default:"${data}" placeholder:"DIR"`
	Role    string        `help:"What its bearer is: customer, channel, support or analyst." required:"" enum:"customer,channel,support,analyst" placeholder:"ROLE"`
	Sub     string        `help:"Whose token it is: a customer's id, or that of a till or a member of staff." required:"" placeholder:"ID"`
	Channel string        `help:"Where its bearer sells or buys: website, mobile or store. A channel's token needs it." enum:",website,mobile,store" default:"" placeholder:"CHANNEL"`
	Scope   string        `help:"What its bearer may do beyond their role: award (channel), reveal and audit (support), audit (analyst). Several with spaces between them." default:"" placeholder:"SCOPE"`
	TTL     time.Duration `help:"How long it is valid." default:"24h"`
}

// Help is shown with the command's flags.
func (tokenCommand) Help() string {
	return `Examples:
  loyalty token --role customer --sub alice
  loyalty token --role channel --sub till-7 --channel store
  curl -H "Authorization: Bearer $(loyalty token --role customer --sub alice)" http://127.0.0.1:8080/loyalty/alice`
}

// Run prints the token and nothing else, so that it can stand inside another command.
func (c tokenCommand) Run(std output.Streams) error {
	token, err := c.Data.Mint(auth.Claims{
		Subject: c.Sub, Role: auth.Role(c.Role), Channel: domain.Channel(c.Channel), Scope: c.Scope,
	}, c.TTL)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is no data folder yet: start the system with loyalty dev --data %s first", c.Data, c.Data)
	}
	if errors.Is(err, domain.ErrInvalid) {
		return flags.Usage(err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, token)
	return err
}
