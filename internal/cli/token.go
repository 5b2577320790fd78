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

// tokenCommand prints a bearer token signed with the secret of a data folder, or with a given one. It is for development and first steps: in
// production tokens come from the identity provider.
type tokenCommand struct {
	Data app.Folder `help:"Data folder of the process the token is for, if that was started with dev; ${data} if no secret is given. It goes before a secret." placeholder:"DIR"`
	flags.Signing
	flags.Recipient
	Role    string        `help:"What its bearer is: customer, channel, support or analyst." required:"" enum:"customer,channel,support,analyst" placeholder:"ROLE"`
	Sub     string        `help:"Whose token it is: a customer's id, or that of a till or a member of staff." required:"" placeholder:"ID"`
	Channel string        `help:"Where its bearer sells or buys: website, mobile or store. A channel's token needs it." enum:",website,mobile,store" default:"" placeholder:"CHANNEL"`
	Scope   string        `help:"What its bearer may do beyond their role: order (customer), award (channel), reveal and audit (support), audit (analyst). Several with spaces between them." default:"" placeholder:"SCOPE"`
	TTL     time.Duration `help:"How long it is valid." default:"24h"`
}

// Help is shown with the command's flags.
func (tokenCommand) Help() string {
	return `A process accepts a token that is signed with its own secret: that of its data folder, for loyalty dev, or what
loyalty serve was given as LOYALTY_TOKEN_SECRET. A process with LOYALTY_JWKS_URL takes tokens of the identity provider only.

  loyalty token --role customer --sub alice
  loyalty token --role customer --sub alice --scope order      may place orders; a token for a page gets no scope
  loyalty token --role channel --sub till-7 --channel store
  curl -H "Authorization: Bearer $(loyalty token --role customer --sub alice)" http://127.0.0.1:8080/loyalty/alice

  export LOYALTY_TOKEN_SECRET=…        for loyalty serve and for loyalty token
  loyalty token --role channel --sub shop-1 --channel website
  LOYALTY_TOKEN_SECRET_FILE=token-secret.txt loyalty token --role support --sub agent-1`
}

// Run prints the token and nothing else, so that it can stand inside another command.
func (c tokenCommand) Run(std output.Streams) error {
	secret, err := c.secret()
	if err != nil {
		return err
	}
	token, err := c.Settings().Mint(secret, auth.Claims{
		Subject: c.Sub, Role: auth.Role(c.Role), Channel: domain.Channel(c.Channel), Rights: c.Scope,
	}, c.TTL, time.Now())
	if errors.Is(err, domain.ErrInvalid) {
		return flags.Usage(err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, token)
	return err
}

// secret is that of the folder that was named, else the one that was given, else that of the folder where loyalty dev keeps it.
func (c tokenCommand) secret() ([]byte, error) {
	data := c.Data
	if data == "" {
		if c.TokenSecret != "" {
			return c.Key()
		}
		data = app.DefaultFolder
	}
	secret, err := app.ReadSecret(data.TokenSecretFile())
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return secret, err
	case c.Data == "":
		return nil, flags.Usage(fmt.Errorf("nothing to sign a token with: set LOYALTY_TOKEN_SECRET to what loyalty serve was given, "+
			"or name the data folder of loyalty dev with --data (there is none in %s)", data))
	}
	return nil, fmt.Errorf("%s is no data folder yet: start the system with loyalty dev --data %[1]s first", data)
}
