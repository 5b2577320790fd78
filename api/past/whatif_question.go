package past

import (
	"errors"
	"fmt"
	"strings"

	"loyalty/analytics/replay"
	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/internal/strictjson"
	"loyalty/readmodels/leaderboard"
)

var whatIfFields = []string{"policy", "by", "until", "top"}

// decodeWhatIf reads the body of a what-if.
func decodeWhatIf(data []byte) (o replay.Options, top int, err error) {
	body := strictjson.Parse(data, whatIfFields)
	o.Policy = policyOf(&body)
	if by, ok := body.String("by", "by_unknown"); ok {
		o.By, err = replay.ParseBy("by", by)
		body.Add(err)
	}
	if until, ok := body.String("until", "until_malformed"); ok {
		o.Until, err = replay.ParseUntil("until", until)
		body.Add(err)
	}
	top = body.Int("top", request.DefaultTop, 1, leaderboard.MaxTop)
	return o, top, body.Err()
}

// policyOf reads the member policy, an earning policy. Package replay reads it as YAML, of which JSON is a part.
func policyOf(body *strictjson.Object) *replay.Policy {
	const field = "policy"
	raw, present := body.Raw(field)
	if !present {
		body.Fail(field, "policy_missing", "say which policy to try out")
		return nil
	}
	policy, err := replay.ParsePolicy(field, raw)
	var invalid *domain.InvalidError
	if !errors.As(err, &invalid) {
		body.Add(err)
		return policy
	}
	for _, fault := range invalid.Fields {
		fault = ofPolicy(field, raw, fault)
		body.Fail(fault.Field, fault.Code, fault.Detail)
	}
	return nil
}

// ofPolicy makes a fault of a policy name the field, which replay puts at the beginning of the detail, instead of a line of a file.
func ofPolicy(field string, raw []byte, f domain.FieldError) domain.FieldError {
	line := strings.TrimPrefix(f.Field, field+":")
	f.Field = field
	if name, detail, named := strings.Cut(f.Detail, ": "); named && f.Code == "policy_invalid" {
		f.Field, f.Detail = field+"."+name, detail
	} else if strings.Contains(string(raw), "\n") {
		f.Detail = fmt.Sprintf("line %s of it: %s", line, f.Detail)
	}
	return f
}
