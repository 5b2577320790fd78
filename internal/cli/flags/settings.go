package flags

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"loyalty/internal/app"
)

// ownPrefix is that of the settings which are ours. Only these are read from files.
const ownPrefix = "LOYALTY_"

// fileSuffix makes of the name of a setting that of the variable which names a file with it.
const fileSuffix = "_FILE"

// maxSettingFile is the most bytes of a file that holds a setting.
const maxSettingFile = 64 << 10

// FromEnvironment has a parser take each flag that the command line doesn't give from the variables in its env tag: from the first that isn't
// empty, or from the file that NAME_FILE names, without the line end at its end. It is an error if both are given, or the file can't be
// read or is empty. An empty variable is as none.
func FromEnvironment() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		variables := map[*kong.Tag][]string{}
		return errors.Join(
			kong.PostBuild(func(k *kong.Kong) error {
				return kong.Visit(k.Model.Node, func(node kong.Visitable, next kong.Next) error {
					if flag, is := node.(*kong.Flag); is {
						variables[flag.Tag] = flag.Tag.Envs
						flag.Tag.Envs = nil // kong would take an empty variable for a value
					}
					return next(nil)
				})
			}).Apply(k),
			kong.ValueFormatter(func(v *kong.Value) string {
				shown, tag := *v, *v.Tag
				tag.Envs = variables[v.Tag]
				shown.Tag = &tag
				return kong.DefaultHelpValueFormatter(&shown)
			}).Apply(k),
			kong.Resolvers(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
				return resolve(flag, variables[flag.Tag])
			})).Apply(k),
		)
	})
}

// resolve is the value of a flag by its variables; nil: there is none.
func resolve(flag *kong.Flag, variables []string) (any, error) {
	for _, name := range variables {
		text := os.Getenv(name)
		file := ""
		if strings.HasPrefix(name, ownPrefix) {
			file = os.Getenv(name + fileSuffix)
		}
		switch {
		case text != "" && file != "":
			return nil, fmt.Errorf("%s and %s: give one of them", name, name+fileSuffix)
		case text != "":
			return checked(flag, text, func(err error) error { return fmt.Errorf("%w (%s)", err, name) })
		case file != "":
			text, err := readSetting(name+fileSuffix, file)
			if err != nil {
				return nil, err
			}
			value, err := checked(flag, text, func(error) error { // says what it got
				return fmt.Errorf("%s: what %s holds can't be this setting", name+fileSuffix, file)
			})
			if err == nil && flag.Target.Type() == reflect.TypeFor[Connection]() {
				value = Connection{Text: text, Again: func() (string, error) { return readSetting(name+fileSuffix, file) }}
			}
			return value, err
		}
	}
	return nil, nil
}

// checked is text, or what wrong makes of the error if it is no value of the flag.
func checked(flag *kong.Flag, text string, wrong func(error) error) (any, error) {
	into := reflect.New(flag.Target.Type()).Elem()
	err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: kong.Scan().PushTyped(text, kong.FlagValueToken)}, into)
	if err != nil {
		return nil, wrong(err)
	}
	return text, nil
}

// readSetting reads a setting from the file that a variable names. Errors name both, and never what is in the file.
func readSetting(variable, name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", variable, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSettingFile+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", variable, err)
	case len(text) > maxSettingFile:
		return "", fmt.Errorf("%s: %s has more than %d bytes", variable, name, maxSettingFile)
	}
	if trimmed, ended := bytes.CutSuffix(text, []byte("\n")); ended {
		text = bytes.TrimSuffix(trimmed, []byte("\r"))
	}
	if len(text) == 0 {
		return "", fmt.Errorf("%s: %s is empty", variable, name)
	}
	return string(text), nil
}

// Connection is a flag with a connection string. Again reads it anew where it came from a file, as passwords change; else it is nil.
type Connection struct {
	Text  string
	Again app.Source
}

// Decode takes the text of a command line or a variable, or what was read from a file.
func (c *Connection) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("URL")
	if err != nil {
		return err
	}
	if read, is := token.Value.(Connection); is {
		*c = read
		return nil
	}
	*c = Connection{Text: fmt.Sprint(token.Value)}
	return nil
}
