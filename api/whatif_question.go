package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"loyalty/analytics/replay"
	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

var whatIfFields = []string{"policy", "by", "until", "top"}

// decodeWhatIf reads what a caller wants to know.
func decodeWhatIf(data []byte) (o replay.Options, top int, err error) {
	body, badBody := parseObject(data, whatIfFields)
	if errors.Is(badBody, errJSONMalformed) {
		return o, 0, badBody
	}
	o, badOptions := body.replayOptions()
	top, badTop := body.number("top", defaultTop, 1, leaderboard.MaxTop)
	return o, top, domain.JoinInvalid(badBody, badOptions, badTop)
}

func (o *object) replayOptions() (options replay.Options, err error) {
	var badPolicy, badBy, badUntil error
	options.Policy, badPolicy = o.policy("policy")
	by, badBy := o.text("by", "by_unknown")
	if badBy == nil {
		options.By, badBy = replay.ParseBy("by", by)
	}
	until, badUntil := o.text("until", "until_malformed")
	if badUntil == nil {
		options.Until, badUntil = replay.ParseUntil("until", until)
	}
	return options, domain.JoinInvalid(badPolicy, badBy, badUntil)
}

// number reads a member that is a whole number from least to most, or gives what it is by default. The error's code is the field
// followed by _out_of_range.
func (o *object) number(field string, byDefault, least, most int) (int, error) {
	raw, present := o.raw(field)
	if !present {
		return byDefault, nil
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < least || n > most {
		return 0, domain.Invalid(field, field+"_out_of_range", fmt.Sprintf("%s must be a whole number from %d to %d", field, least, most))
	}
	return n, nil
}

// policy reads a member that is an earning policy, which is JSON here and YAML, of which JSON is a part, to package replay.
func (o *object) policy(field string) (*replay.Policy, error) {
	raw, present := o.raw(field)
	if !present {
		return nil, domain.Invalid(field, "policy_missing", "say which policy to try out")
	}
	policy, err := replay.ParsePolicy(field, raw)
	var invalid *domain.InvalidError
	if !errors.As(err, &invalid) {
		return policy, err
	}
	faults := &domain.InvalidError{Fields: make([]domain.FieldError, len(invalid.Fields))}
	for i, fault := range invalid.Fields {
		faults.Fields[i] = ofPolicy(field, raw, fault)
	}
	return nil, faults
}

// ofPolicy has a fault of a policy name the field instead of a line of a file, which it does at the beginning of its detail.
func ofPolicy(field string, raw json.RawMessage, f domain.FieldError) domain.FieldError {
	line := strings.TrimPrefix(f.Field, field+":")
	f.Field = field
	if name, detail, named := strings.Cut(f.Detail, ": "); named && f.Code == "policy_invalid" {
		f.Field, f.Detail = field+"."+name, detail
	} else if strings.Contains(string(raw), "\n") {
		f.Detail = fmt.Sprintf("line %s of it: %s", line, f.Detail)
	}
	return f
}
