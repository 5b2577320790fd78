package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc"
)

// right is what a call does with a stream, under the key that an access control list has for it.
type right string

const (
	rightRead          right = "$r"
	rightWrite         right = "$w"
	rightDelete        right = "$d"
	rightReadMetadata  right = "$mr"
	rightWriteMetadata right = "$mw"
)

const (
	keyACL         = "$acl"
	settingsStream = "$settings"
	keyUserACL     = "$userStreamAcl"
	keySystemACL   = "$systemStreamAcl"
	roleAdmins     = "$admins"
	roleAll        = "$all" // everybody who has a password
)

// caller is the user who makes a call.
type caller struct {
	name          string
	administrator bool
}

type callerKey struct{}

// callStream is the stream of a call whose caller is known.
type callStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context holds the caller.
func (s callStream) Context() context.Context { return s.ctx }

// withCaller is a context in which permit finds the caller. nil is a caller who may do everything.
func withCaller(ctx context.Context, c *caller) context.Context {
	if c == nil {
		return ctx
	}
	return context.WithValue(ctx, callerKey{}, c)
}

// permit is errAccessDenied if the caller may not do that with a stream. The rules are those of EventStoreDB 20.6 and later: an
// administrator may do everything but delete a metadata stream. Others may do what the stream's $acl says, if it says anything about that; else
// what the stream $settings says of system streams (with a $ in front, $all among them) and of others; else everything with others, and nothing with system streams.
func (s *service) permit(ctx context.Context, r right, stream string) error {
	c, ok := ctx.Value(callerKey{}).(*caller)
	if !ok {
		return nil
	}
	described, isMeta := describedBy(stream)
	if isMeta {
		stream = described
		switch r {
		case rightRead:
			r = rightReadMetadata
		case rightWrite:
			r = rightWriteMetadata
		default:
			return errAccessDenied{}
		}
	}
	if c.administrator {
		return nil
	}
	roles, err := s.store.roles(stream, r)
	if err != nil {
		return err
	}
	if slices.Contains(roles, roleAll) || slices.Contains(roles, c.name) {
		return nil
	}
	return errAccessDenied{}
}

// roles are the users and groups who have a right to a stream. Only synced metadata counts.
func (s *store) roles(stream string, r right) ([]string, error) {
	end := s.end()
	if _, isMeta := describedBy(stream); !isMeta { // the metadata of a metadata stream is fixed
		data, err := s.metadata(stream, end)
		if err != nil {
			return nil, err
		}
		if roles, ok := parseACL(data, keyACL)[r]; ok {
			return roles, nil
		}
	}
	settings, err := s.newest(settingsStream, end)
	if err != nil {
		return nil, err
	}
	key, standard := keyUserACL, roleAll
	if strings.HasPrefix(stream, "$") {
		key, standard = keySystemACL, roleAdmins
	}
	if roles, ok := parseACL(settings, key)[r]; ok {
		return roles, nil
	}
	return []string{standard}, nil
}

// parseACL reads the access control list at a key of a JSON object: users and groups by right, as an array or as one string. As in
// EventStoreDB, a list that is anything else, or that has a right which doesn't exist, counts as absent.
func parseACL(data []byte, key string) map[right][]string {
	var fields, list map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || json.Unmarshal(fields[key], &list) != nil {
		return nil
	}
	acl := make(map[right][]string, len(list))
	for name, raw := range list {
		r := right(name)
		roles, err := parseRoles(raw)
		if err != nil || !slices.Contains([]right{rightRead, rightWrite, rightDelete, rightReadMetadata, rightWriteMetadata}, r) {
			return nil
		}
		acl[r] = roles
	}
	return acl
}

var errRoles = errors.New("neither a name nor an array of names")

func parseRoles(raw json.RawMessage) ([]string, error) {
	var several []*string
	if json.Unmarshal(raw, &several) != nil {
		var one *string
		if json.Unmarshal(raw, &one) != nil || one == nil {
			return nil, errRoles
		}
		return []string{*one}, nil
	}
	if several == nil || slices.Contains(several, nil) {
		return nil, errRoles
	}
	roles := make([]string, len(several))
	for i, role := range several {
		roles[i] = *role
	}
	return roles, nil
}
