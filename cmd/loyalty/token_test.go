package main

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"loyalty/internal/cli"
)

// small is the production shape with nothing but files: the event store that the connection string names, a ledger in a file, and a leaderboard in
// memory.
func small(t *testing.T, eventstore string) []string {
	t.Helper()
	return []string{
		"LOYALTY_EVENTSTORE=" + eventstore, "LOYALTY_LEDGER=sqlite:" + filepath.Join(t.TempDir(), "ledger.sqlite"), "LOYALTY_LEADERBOARD=memory:",
		"LOYALTY_TOKEN_SECRET=" + siteTokenSecret, "LOYALTY_PROXY_SECRET=" + siteProxySecret,
	}
}

// bearing makes one request with a token as it was printed, and returns the status of the answer and what it says.
func bearing(t *testing.T, token, method, url, body string) (status int, answered string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestATokenForServeNeedsNoDataFolder(t *testing.T) {
	// Given a process started with serve and a secret, and somebody who knows the secret and has no data folder
	p := start(t, small(t, "esdb://"+openEvents(t).Addr()+"?tls=false"), "serve", "--addr", "127.0.0.1:0")
	t.Chdir(t.TempDir())
	file(t, "secret", siteTokenSecret+"\r\n", 0o600)
	const order = `{"ItemIds": ["mug"], "paymentDetails": {"amount": "50.00", "currency": "GBP", "method": "card"}}`
	for name, c := range map[string]struct{ environment, args []string }{
		"environment": {[]string{"LOYALTY_TOKEN_SECRET=" + siteTokenSecret}, nil},
		"flag":        {nil, []string{"--token-secret", siteTokenSecret}},
		"file":        {[]string{"LOYALTY_TOKEN_SECRET_FILE=secret"}, nil},
	} {
		// When they print a token, Then it places an order
		token, stderr, status := runIn(t, c.environment, append([]string{"token", "--role", "customer", "--sub", "alice", "--scope", "order"}, c.args...)...)
		if status != cli.ExitOK || stderr != "" || strings.Count(token, "\n") != 1 {
			t.Fatalf("%s: exit status %d, %q, %q", name, status, token, stderr)
		}
		if got, _ := bearing(t, token, http.MethodPost, p.base+"/order/o-"+name, order); got != http.StatusCreated {
			t.Errorf("%s: the order is answered with %d", name, got)
		}
	}
}

// Given every setting with a secret in a file of its own, which everybody in the container can read, as containers have them
// When a process is started, and commands are run beside it
// Then they work as with the secrets in the environment.
func TestSecretsComeFromFiles(t *testing.T) {
	dir := t.TempDir()
	var environment []string
	for i, setting := range append(small(t, "esdb://"+openEvents(t).Addr()+"?tls=false"), "LOYALTY_COMMAND_BUS=redis://127.0.0.1:1") {
		name, value, _ := strings.Cut(setting, "=")
		path := filepath.Join(dir, strconv.Itoa(i))
		file(t, path, value+"\n", 0o444)
		environment = append(environment, name+"=", name+"_FILE="+path)
	}
	p := start(t, environment, "serve", "--addr", "127.0.0.1:0")
	token, stderr, status := runIn(t, environment, "token", "--role", "customer", "--sub", "alice", "--scope", "order")
	if status != cli.ExitOK {
		t.Fatalf("token exits with %d: %s", status, stderr)
	}
	const order = `{"ItemIds": ["mug"], "paymentDetails": {"amount": "50.00", "currency": "GBP", "method": "card"}}`
	if got, _ := bearing(t, token, http.MethodPost, p.base+"/order/o-1", order); got != http.StatusCreated {
		t.Errorf("the order is answered with %d", got)
	}
	for _, args := range [][]string{{"verify"}, {"migrate"}, {"trail", "alice"}, {"replay"}} {
		if _, stderr, status := runIn(t, environment, args...); status != cli.ExitOK {
			t.Errorf("%v exits with %d: %s", args, status, stderr)
		}
	}
	if _, stderr, _ := runIn(t, environment, "poison", "list"); !strings.Contains(stderr, "127.0.0.1:1") {
		t.Errorf("poison list does not ask the Redis in the file: %s", stderr)
	}
}

func TestATokenWithoutASecretSaysWhatToDoAndNeverTheSecret(t *testing.T) {
	t.Chdir(t.TempDir())
	file(t, "empty", "\n", 0o600)
	file(t, "secret", siteTokenSecret, 0o600)
	file(t, "short", "too short a secret", 0o600)
	for _, c := range []struct {
		environment, args []string
		says              string
	}{
		{nil, nil, "LOYALTY_TOKEN_SECRET"},
		{nil, nil, "--data"},
		{[]string{"LOYALTY_TOKEN_SECRET_FILE=empty"}, nil, "empty"},
		{[]string{"LOYALTY_TOKEN_SECRET_FILE=none"}, nil, "no such file"},
		{[]string{"LOYALTY_TOKEN_SECRET_FILE=short"}, nil, "openssl rand -hex 32"},
		{nil, []string{"--token-secret", "too short a secret"}, "openssl rand -hex 32"},
		{[]string{"LOYALTY_TOKEN_SECRET=" + siteTokenSecret, "LOYALTY_TOKEN_SECRET_FILE=secret"}, nil, "give one of them"},
	} {
		stdout, stderr, status := runIn(t, c.environment, append([]string{"token", "--role", "customer", "--sub", "alice"}, c.args...)...)
		if status != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: exit status %d, %q, says %q; want %q", c.args, status, stdout, stderr, c.says)
		}
		if strings.Contains(stderr, siteTokenSecret) || strings.Contains(stderr, "too short a secret") {
			t.Errorf("%v: a secret is printed: %s", c.args, stderr)
		}
	}
}

// Given tokens of a process that asks for an issuer and an audience
// When somebody looks into them
// Then they are told what each claim is here, by a process with the same settings, and nothing is needed that runs.
func TestATokenIsExplainedBeforeItIsUsed(t *testing.T) {
	settings := []string{"LOYALTY_TOKEN_SECRET=" + siteTokenSecret, "LOYALTY_JWT_ISSUER=https://id.example", "LOYALTY_JWT_AUDIENCE=loyalty,other"}
	token, stderr, status := runIn(t, settings, "token", "--role", "support", "--sub", "auth0|7", "--scope", "reveal")
	if status != 0 {
		t.Fatalf("no token: %s", stderr)
	}
	token = strings.TrimSpace(token)
	for name, c := range map[string]struct {
		settings []string
		token    string
		status   int
		says     []string
	}{
		"with the same settings": {settings, token, 0, []string{"The bearer is support auth0|7, with the rights reveal.", `ok  iss`, `["loyalty","other"]`}},
		"in a header":            {settings, "Bearer " + token, 0, []string{"The bearer is support"}},
		"for another audience":   {append(slices.Clone(settings), "LOYALTY_JWT_AUDIENCE=third"), token, 1, []string{"none that is expected: third"}},
		"from another claim":     {append(slices.Clone(settings), "LOYALTY_ROLE_CLAIM=/realm_access/roles"), token, 1, []string{"/realm_access/roles", "it is missing"}},
		"with another secret":    {append(slices.Clone(settings), "LOYALTY_TOKEN_SECRET="+siteProxySecret), token, 1, []string{"not made with that key"}},
		"that is none":           {settings, "garbage", 1, []string{"malformed"}},
	} {
		stdout, stderr, status := runIn(t, c.settings, "token", "check", c.token)
		for _, says := range c.says {
			if status != c.status || !strings.Contains(stdout, says) || strings.Contains(stdout+stderr, token) {
				t.Errorf("%s: it ends with %d and says %s%s; want %d, %q", name, status, stdout, stderr, c.status, says)
			}
		}
	}
	var answer struct {
		Accepted bool
		Bearer   string
		Findings []struct{ Part, Verdict string }
	}
	stdout, _, status := runIn(t, settings, "token", "check", "--json", token)
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || status != 0 || !answer.Accepted || answer.Bearer == "" || len(answer.Findings) < 8 {
		t.Errorf("as JSON it is %+v, %v", answer, err)
	}
	if _, stderr, status := runIn(t, []string{"LOYALTY_JWKS_URL=https://id.example/keys"}, "token", "check", token); status != 2 || !strings.Contains(stderr, "LOYALTY_JWT_AUDIENCE") {
		t.Errorf("without an audience it ends with %d and says %s", status, stderr)
	}
}
