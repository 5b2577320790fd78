package eventstore_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
)

// A version that is too old is refused, one that is newer than those that were tried is a line in the log, and so is one that the server keeps to itself.
func TestTheVersionOfTheServerIsReadWhenAStoreIsOpened(t *testing.T) {
	_, target := storetest.Start(t)
	front := storetest.InFrontOf(t, target)
	for _, c := range []struct {
		version string // empty where the server has no such call
		refused bool
		logged  string
	}{
		{"22.10.5", true, ""}, {"23.6.0", true, ""}, {"23.9.9", true, ""},
		{"23.10.0", false, ""}, {"23.10.8.0", false, ""}, {"24.10.14", false, ""}, {"25.0.1", false, ""},
		{"25.1.0", false, "newer than those"}, {"26.0.0", false, "newer than those"},
		{"", false, "does not tell its version"},
	} {
		t.Run(c.version, func(t *testing.T) {
			front.Answer(func(call *storetest.Call) error {
				switch {
				case call.Method != storetest.MethodFeatures:
					return call.Pass()
				case c.version == "":
					return storetest.Refused(codes.Unimplemented, "")
				}
				message, err := proto.Marshal(&serverfeatures.SupportedMethods{EventStoreServerVersion: c.version})
				if err != nil {
					return err
				}
				return call.Reply(message)
			})
			var log bytes.Buffer
			_, err := openAt(t, front.Target, eventstore.Options{
				Logger: slog.New(slog.NewTextHandler(&log, nil)), Backoff: func(int) time.Duration { return 0 },
			})
			if (err != nil) != c.refused {
				t.Fatalf("opened: %v", err)
			}
			if c.refused && (!errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "version "+c.version) || !strings.Contains(err.Error(), "23.10 or later is needed")) {
				t.Errorf("the error is %v", err)
			}
			if c.refused { // a process, which would wait for its store, is told the same
				registry, err := eventstore.LoyaltyEvents()
				if err != nil {
					t.Fatal(err)
				}
				patient, err := eventstore.New(front.Target, registry, eventstore.Options{Backoff: func(int) time.Duration { return 0 }})
				if err != nil {
					t.Fatal(err)
				}
				if err := patient.Ping(t.Context()); !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "23.10 or later is needed") {
					t.Errorf("a store that may be away: %v", err)
				}
				if err := patient.Close(); err != nil {
					t.Error(err)
				}
			}
			lines := strings.Count(log.String(), "newer than those") + strings.Count(log.String(), "does not tell its version")
			if !strings.Contains(log.String(), c.logged) || (lines == 1) != (c.logged != "") {
				t.Errorf("%d lines: %s", lines, &log)
			}
		})
	}
}
