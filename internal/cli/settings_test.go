package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"loyalty/internal/cli/flags"
)

// lines parses command lines, one after the other, with one parser: to make one takes long.
type lines struct {
	t      *testing.T
	line   commandLine
	parser *kong.Kong
}

func newLines(t *testing.T) *lines {
	t.Helper()
	l := &lines{t: t}
	var err error
	if l.parser, err = newParser(&l.line); err != nil {
		t.Fatal(err)
	}
	return l
}

// parsed is the value of a flag on a command line.
func (l *lines) parsed(args []string, flag string) (any, error) {
	l.t.Helper()
	err := kong.Visit(l.parser.Model.Node, func(node kong.Visitable, next kong.Next) error {
		if flag, is := node.(*kong.Flag); is {
			flag.Set = false // on the line before
		}
		return next(nil)
	})
	if err != nil {
		l.t.Fatal(err)
	}
	found, err := l.parser.Parse(args)
	if err != nil {
		return nil, err
	}
	for _, each := range found.Flags() {
		if each.Name == flag {
			return found.FlagValue(each), nil
		}
	}
	l.t.Fatalf("%v has no --%s", args, flag)
	return nil, nil
}

// setting is a flag that may come from the environment, of a command line that is right.
type setting struct {
	args           []string
	flag, variable string
}

// settings are all that there are, of all commands.
func settings(t *testing.T) (all []setting) {
	t.Helper()
	var line commandLine
	parser, err := kong.New(&line, kong.Vars{"data": "", "version": "", "eventstore_versions": ""})
	if err != nil {
		t.Fatal(err)
	}
	var visit func(node *kong.Node, args []string, inherited []*kong.Flag)
	visit = func(node *kong.Node, args []string, inherited []*kong.Flag) {
		flags := append(inherited[:len(inherited):len(inherited)], node.Flags...)
		for _, child := range node.Children {
			visit(child, append(args[:len(args):len(args)], child.Name), flags)
		}
		if !node.Leaf() {
			return
		}
		for _, argument := range node.Positional {
			if argument.Required {
				args = append(args, "1")
			}
		}
		given := map[string]bool{}
		for _, flag := range flags {
			value := "1"
			if flag.Enum != "" {
				value = strings.Split(flag.Enum, ",")[0]
			}
			if flag.Required && !slices.ContainsFunc(flag.Xor, func(group string) bool { return given[group] }) {
				args = append(args, "--"+flag.Name+"="+value)
				for _, group := range flag.Xor {
					given[group] = true
				}
			}
		}
		for _, flag := range flags {
			for _, variable := range flag.Envs {
				mine := []string{}
				for _, arg := range args {
					if !strings.HasPrefix(arg, "--"+flag.Name+"=") {
						mine = append(mine, arg)
					}
				}
				all = append(all, setting{mine, flag.Name, variable})
			}
		}
	}
	visit(parser.Model.Node, nil, nil)
	return all
}

// sample is a value that the setting takes.
func (s setting) sample(t *testing.T, l *lines) (string, any) {
	t.Helper()
	for _, text := range []string{"7", "true", "7s", "warn", "support=7", "x"} {
		t.Setenv(s.variable, text)
		if got, err := l.parsed(s.args, s.flag); err == nil && (text != "7" || reflect.TypeOf(got).Kind() != reflect.Map) {
			t.Setenv(s.variable, "")
			return text, got
		}
	}
	t.Fatalf("%v takes none of the samples as %s", s.args, s.variable)
	return "", nil
}

func TestAnEmptyVariableIsAsNone(t *testing.T) {
	l := newLines(t)
	for _, s := range settings(t) {
		t.Run(strings.Join(s.args, " ")+" "+s.variable, func(t *testing.T) {
			t.Setenv(s.variable, "")
			if err := os.Unsetenv(s.variable); err != nil {
				t.Fatal(err)
			}
			none, noneErr := l.parsed(s.args, s.flag)
			t.Setenv(s.variable, "")
			t.Setenv(s.variable+"_FILE", "")
			got, err := l.parsed(s.args, s.flag)
			if !reflect.DeepEqual(got, none) || (err == nil) != (noneErr == nil) || err != nil && err.Error() != noneErr.Error() {
				t.Errorf("empty it is %v, %v; without it %v, %v", got, err, none, noneErr)
			}
		})
	}
}

func TestEverySettingCanComeFromAFile(t *testing.T) {
	l, all := newLines(t), settings(t)
	if len(all) < 60 {
		t.Fatalf("there are only %d settings", len(all))
	}
	for _, s := range all {
		if !strings.HasPrefix(s.variable, "LOYALTY_") {
			continue // not ours
		}
		t.Run(strings.Join(s.args, " ")+" "+s.variable, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "file")
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(text), 0o444); err != nil {
					t.Fatal(err)
				}
			}
			text, want := s.sample(t, l)
			t.Setenv(s.variable+"_FILE", file)
			says := func(when string, parts ...string) {
				t.Helper()
				_, err := l.parsed(s.args, s.flag)
				for _, part := range parts {
					if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "s3cr3t") {
						t.Errorf("%s it says %v; want %q, and nothing of what is in the file", when, err, part)
					}
				}
			}
			says("without the file", s.variable+"_FILE", file)
			for _, end := range []string{"", "\n", "\r\n"} {
				if err := os.RemoveAll(file); err != nil {
					t.Fatal(err)
				}
				write(text + end)
				got, err := l.parsed(s.args, s.flag)
				if err != nil || !reflect.DeepEqual(textOf(got), textOf(want)) {
					t.Errorf("with %q at the end it is %v, %v; want %v", end, got, err, want)
				}
			}
			t.Setenv(s.variable, text)
			says("with both", s.variable+" and "+s.variable+"_FILE")
			t.Setenv(s.variable, "")
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			write("\n")
			says("with nothing in the file", s.variable+"_FILE", file, "empty")
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			write("s3cr3t=s3cr3t=")
			if _, err := l.parsed(s.args, s.flag); err != nil {
				says("with what it doesn't take", s.variable+"_FILE", file)
			}
		})
	}
}

// textOf is the value of a flag, and of a connection string only the text.
func textOf(value any) any {
	if c, is := value.(flags.Connection); is {
		return c.Text
	}
	return value
}

// Given connection strings from files
// When a password in one is changed, and then the file is gone
// Then it is read again as it is, and the error names the file.
func TestAConnectionStringFromAFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("postgres://loyalty:one@h/l\n")
	for _, variable := range []string{"LOYALTY_EVENTSTORE", "LOYALTY_LEDGER", "LOYALTY_LEADERBOARD", "LOYALTY_COMMAND_BUS", "LOYALTY_EVENT_BUS"} {
		t.Setenv(variable, "")
		t.Setenv(variable+"_FILE", file)
	}
	l := newLines(t)
	line := &l.line
	if _, err := l.parsed([]string{"serve"}, "ledger"); err != nil {
		t.Fatal(err)
	}
	brokers, err := flags.Process{Brokers: line.Serve.Brokers, Limits: line.Serve.Limits}.Config(os.Stderr, line.Serve.LogLevel)
	if err != nil {
		t.Fatal(err)
	}
	c := line.Serve.Connections.Config()
	write("postgres://loyalty:two@h/l\n")
	for name, again := range map[string]func() (string, error){
		"event store": c.EventstoreAgain, "ledger": c.LedgerAgain, "leaderboard": c.LeaderboardAgain,
		"command bus": brokers.CommandBusAgain, "event bus": brokers.EventBusAgain,
	} {
		if text, err := again(); err != nil || text != "postgres://loyalty:two@h/l" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := c.LedgerAgain(); err == nil || !strings.Contains(err.Error(), "LOYALTY_LEDGER_FILE") || !strings.Contains(err.Error(), file) {
		t.Errorf("without the file: %v", err)
	}
	for _, variable := range []string{"LOYALTY_EVENTSTORE", "LOYALTY_LEADERBOARD", "LOYALTY_COMMAND_BUS", "LOYALTY_EVENT_BUS"} {
		t.Setenv(variable+"_FILE", "")
	}
	if _, err = l.parsed([]string{"serve", "--ledger", "sqlite:x"}, "ledger"); err != nil || line.Serve.Ledger.Text != "sqlite:x" || line.Serve.Ledger.Again != nil {
		t.Errorf("from the command line: %+v, %v", line.Serve.Ledger, err)
	}
}

// What the environment names may be the real thing, whose commands a process of development would take, or whose log it would write into.
func TestDevTakesNothingThatNamesAnotherSystemFromTheEnvironment(t *testing.T) {
	const address = "redis://127.0.0.1:6379"
	text := filepath.Join(t.TempDir(), "address")
	if err := os.WriteFile(text, []byte(address), 0o600); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range settings(t) {
		if s.args[0] == "serve" {
			names = append(names, s.variable)
		}
	}
	l := newLines(t)
	var asked int
	for _, each := range l.parser.Model.Node.Children {
		if each.Name != "dev" {
			continue
		}
		for _, flag := range each.Flags {
			if flag.Target.Type() != reflect.TypeFor[flags.Connection]() && !strings.Contains(flag.PlaceHolder, "URL") {
				continue
			}
			asked++
			for _, name := range names {
				for _, given := range []struct{ name, value string }{{name, address}, {name + "_FILE", text}} {
					t.Run(flag.Name+" by "+given.name, func(t *testing.T) {
						t.Setenv(given.name, given.value)
						got, err := l.parsed([]string{"dev"}, flag.Name)
						if err == nil && !reflect.ValueOf(got).IsZero() {
							t.Errorf("dev has %v", got)
						}
					})
				}
			}
			if got, err := l.parsed([]string{"dev", "--" + flag.Name, address}, flag.Name); err != nil || reflect.ValueOf(got).IsZero() {
				t.Errorf("given --%s, dev has %v, %v", flag.Name, got, err)
			}
		}
	}
	if asked < 2 || len(names) < 20 {
		t.Errorf("%d flags and %d variables were tried", asked, len(names))
	}
}
