// Package grant lets a user read the whole log of a secured event store.
package grant

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"loyalty/domain"
	"loyalty/eventstore"
)

// Grant is the right of a user to read the whole log, $all, which a secured server gives to administrators only.
type Grant struct {
	User string `json:"user"`
	// Readers are the users and groups who may read $all, in the order of its metadata: User is among them, or $all, which is everybody.
	Readers []string `json:"readers"`
	// New is false if User could read $all before.
	New bool `json:"new"`
}

const (
	metadataOfAll  = "$$$all" // the metadata of $all
	settingsStream = "$settings"
	typeMetadata   = "$metadata"
	keyACL         = "$acl"
	keyReaders     = "$r"
	keySystemACL   = "$systemStreamAcl"
)

// Log lets a user read $all, by adding them to the readers in its metadata. All else in the metadata stays as it is. If the metadata names
// no readers, those by default become explicit: those that the stream $settings gives to system streams, or $admins. A user who may read $all
// already changes nothing. Unless it is carried out, Log says what it would do.
//
// The store must be opened with the name of an administrator. For others, Denied is true of the error. A name that is empty or that of a group, and
// metadata that a server would ignore, are domain.ErrInvalid. It may run at the same time as others that change the metadata.
func Log(ctx context.Context, store *eventstore.Store, user string, carriedOut bool) (g Grant, err error) {
	if user == "" || strings.HasPrefix(user, "$") || strings.ContainsAny(user, ":\n\r") || !utf8.ValidString(user) {
		return g, domain.Invalid("user", "user_malformed", "this must be the login name of a user of the event store, without $ in front and without a colon")
	}
	err = store.RetryWrongRevision(ctx, func() error {
		settings, _, err := newest(ctx, store, settingsStream)
		if err != nil {
			return err
		}
		metadata, revision, err := newest(ctx, store, metadataOfAll)
		if err != nil {
			return err
		}
		changed, readers, err := withReader(metadata, settings, user)
		g = Grant{User: user, Readers: readers, New: changed != nil}
		if err != nil || changed == nil || !carriedOut {
			return err
		}
		return store.AppendJSON(ctx, metadataOfAll, revision, uuid.New(), typeMetadata, changed)
	})
	return g, err
}

// newest is the data of the newest event of a stream, and its revision: nil and NoStream if there is none.
func newest(ctx context.Context, store *eventstore.Store, stream string) (data []byte, revision int64, err error) {
	event, err := store.Newest(ctx, stream)
	if err != nil || event == nil {
		return nil, eventstore.NoStream, err
	}
	return []byte(event.Data), int64(event.Revision), nil
}

// Denied reports whether a server has refused a call because its user lacks a right.
func Denied(err error) bool { return status.Code(err) == codes.PermissionDenied }

// withReader adds a user to the readers in metadata of $all, which may be empty. It returns the metadata, nil if nothing changes, and the readers
// after that. The rules are those of EventStoreDB 20.6 and later: a list of readers is a name or an array of names; if there is none, it is the one
// for system streams in the settings, else $admins. A server ignores metadata whose $acl is no object of the five rights, such as the words by
// which clients name the defaults. Such a word is replaced, since it means no more than no list; anything else is domain.ErrInvalid.
func withReader(metadata, settings []byte, user string) (changed []byte, readers []string, err error) {
	malformed := func(what string) error {
		return domain.Invalid("metadata", "metadata_malformed", "the metadata of $all "+what+", so the event store ignores all of it: put it right first")
	}
	fields := map[string]json.RawMessage{}
	if len(metadata) > 0 && (json.Unmarshal(metadata, &fields) != nil || fields == nil) {
		return nil, nil, malformed("is no JSON object")
	}
	list := map[string]json.RawMessage{}
	if raw, ok := fields[keyACL]; ok && !slices.Contains([]string{`"$userStreamAcl"`, `"$systemStreamAcl"`, "null"}, string(raw)) {
		if list = parseList(raw); list == nil {
			return nil, nil, malformed("has an $acl that is no object of lists $r, $w, $d, $mr and $mw")
		}
	}
	readers = defaultReaders(settings)
	if raw, ok := list[keyReaders]; ok {
		readers, _ = parseNames(raw)
	}
	if slices.Contains(readers, user) || slices.Contains(readers, "$all") {
		return nil, readers, nil
	}
	readers = append(readers, user)
	if list[keyReaders], err = json.Marshal(readers); err == nil {
		fields[keyACL], err = json.Marshal(list)
	}
	if err == nil {
		changed, err = json.Marshal(fields)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the metadata of $all: %w", err)
	}
	return changed, readers, nil
}

// defaultReaders are the readers of a system stream without a list.
func defaultReaders(settings []byte) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(settings, &fields) == nil {
		if raw, ok := parseList(fields[keySystemACL])[keyReaders]; ok {
			readers, _ := parseNames(raw)
			return readers
		}
	}
	return []string{"$admins"}
}

// parseList reads an access control list, nil if a server would not take it for one.
func parseList(raw json.RawMessage) map[string]json.RawMessage {
	var list map[string]json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	for right, names := range list {
		if _, ok := parseNames(names); !ok || !slices.Contains([]string{keyReaders, "$w", "$d", "$mr", "$mw"}, right) {
			return nil
		}
	}
	return list
}

// parseNames reads one name or an array of names.
func parseNames(raw json.RawMessage) (names []string, ok bool) {
	var one *string
	if json.Unmarshal(raw, &one) == nil && one != nil {
		return []string{*one}, true
	}
	var several []*string
	if json.Unmarshal(raw, &several) != nil || several == nil || slices.Contains(several, nil) {
		return nil, false
	}
	names = make([]string, len(several))
	for i, name := range several {
		names[i] = *name
	}
	return names, true
}
