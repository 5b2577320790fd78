package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
)

// tokenCommand is about bearer tokens. Without a word behind it, it prints one.
type tokenCommand struct {
	Print tokenPrint `cmd:"" default:"withargs" help:"Print a bearer token for the API of a process: what loyalty token does without a word behind it."`
	Check tokenCheck `cmd:"" help:"Say what a process with these settings makes of a token, claim by claim, and who its bearer would be."`
}

// Help is shown with the words that may follow.
func (tokenCommand) Help() string {
	return `  loyalty token --role customer --sub alice       prints one; loyalty token print --help has all flags
  loyalty token check TOKEN                       looks into one that an identity provider has issued`
}

// tokenPrint prints a bearer token signed with the secret of a data folder, or with a given one. It is for development and first steps: in
// production tokens come from the identity provider.
type tokenPrint struct {
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
func (tokenPrint) Help() string {
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
func (c tokenPrint) Run(std output.Streams) error {
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
func (c tokenPrint) secret() ([]byte, error) {
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

// tokenCheck looks into a token as loyalty serve would with the same settings.
type tokenCheck struct {
	Token string     `arg:"" optional:"" default:"-" help:"The token; - reads it from standard input, where no list of processes shows it." placeholder:"TOKEN"`
	Data  app.Folder `help:"Data folder of loyalty dev, whose tokens are meant." placeholder:"DIR"`
	JSON  bool       `name:"json" help:"Print JSON."`
	flags.Tokens
}

// Help is shown with the command's flags.
func (tokenCheck) Help() string {
	return `Takes the settings that loyalty serve takes, and changes nothing. It ends with 0 if the token would be accepted, and
with 1 if not. What it prints is what the token says: keep it to yourself.

  pbpaste | loyalty token check
  curl … | jq -r .access_token | LOYALTY_JWKS_URL=https://id.example/keys LOYALTY_JWT_AUDIENCE=loyalty loyalty token check
  loyalty token check --data loyalty-data "$(loyalty token --role customer --sub alice)"`
}

// errNotAccepted is the end of a check of a token that is refused.
var errNotAccepted = errors.New("the token is not accepted")

// Run prints what each part of the token is here.
func (c tokenCheck) Run(ctx context.Context, std output.Streams) error {
	token, err := c.token(std.In)
	if err != nil {
		return err
	}
	verifier, stop, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer stop()
	findings, claims, refused := verifier.Explain(ctx, token)
	if c.JSON {
		err = output.JSON(std.Out, struct {
			Accepted bool           `json:"accepted"`
			Bearer   string         `json:"bearer,omitempty"`
			Findings []auth.Finding `json:"findings"`
		}{refused == nil, map[bool]string{true: claims.Bearer()}[refused == nil], findings})
	} else {
		err = printFindings(std.Out, findings, claims, refused)
	}
	if err == nil && refused != nil {
		err = errNotAccepted
	}
	return err
}

func printFindings(out io.Writer, findings []auth.Finding, claims auth.Claims, refused error) error {
	rows := [][]any{{"", "PART", "IN THE TOKEN", "HERE"}}
	for _, f := range findings {
		rows = append(rows, []any{map[bool]string{true: "ok", false: "NO"}[f.Good], f.Part, output.OrDash(f.Value), f.Verdict})
	}
	if err := output.Table(out, rows...); err != nil || refused != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nThe bearer is %s.\n", claims.Bearer())
	return err
}

// token is the one given, or the first line of standard input.
func (c tokenCheck) token(in io.Reader) (string, error) {
	token := c.Token
	if token == "-" {
		line, err := bufio.NewReader(io.LimitReader(in, 64<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		token = line
	}
	token = strings.TrimSpace(token)
	if scheme, rest, two := strings.Cut(token, " "); two && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(rest)
	}
	if token == "" {
		return "", flags.Usage(errors.New("no token: name it, or write it to standard input"))
	}
	return token, nil
}

// open makes the verifier that loyalty serve would, or that of a data folder. Keys are read until stop is called.
func (c tokenCheck) open(ctx context.Context) (verifier *auth.Verifier, stop func(), err error) {
	if c.Data != "" {
		if err := c.Data.Check(); err != nil {
			return nil, nil, err
		}
		_, verifier, err := c.Data.Secrets()
		return verifier, func() {}, err
	}
	set, err := c.Keys(app.Quiet().Logger)
	if err != nil {
		return nil, nil, err
	}
	verifier, err = c.Verifier(set, app.Quiet().Logger)
	if err != nil || set == nil {
		return verifier, func() {}, err
	}
	reading, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { set.Run(reading) })
	return verifier, func() { cancel(); running.Wait() }, nil
}
