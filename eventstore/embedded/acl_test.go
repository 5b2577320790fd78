package embedded_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"

	"loyalty/eventstore/embedded"
)

// secured is a server with an administrator, root, and two users, ann and bob.
type secured struct {
	t        *testing.T
	dir      string
	addr, ca string
}

func openSecured(t *testing.T) *secured {
	t.Helper()
	config, ca := certificate(t)
	dir := t.TempDir()
	server := open(t, embedded.Options{Dir: dir, Addr: "127.0.0.1:0", TLS: config, Users: map[string]embedded.User{
		"root": {Password: "pw", Administrator: true}, "ann": {Password: "pw"}, "bob": {Password: "pw"}}})
	return &secured{t: t, dir: dir, addr: server.Addr(), ca: ca}
}

func (s *secured) as(user string) *esdb.Client {
	s.t.Helper()
	return client(s.t, "esdb://"+user+":pw@"+s.addr+"?tlsCAFile="+s.ca)
}

// describe writes a stream's metadata as it stands, through the socket.
func (s *secured) describe(stream, metadata string) {
	s.t.Helper()
	e := typed(stream+metadata, "$metadata")
	e.Data = []byte(metadata)
	write(s.t, connect(s.t, s.dir), "$$"+stream, esdb.Any{}, e)
}

// everyCall makes each kind of call on a stream, $all among them, and returns its error by its name.
func everyCall(t *testing.T, db *esdb.Client, stream string) map[string]error {
	t.Helper()
	errs := map[string]error{}
	if stream == "$all" {
		_, errs["read"] = drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{}, 1))
		_, errs["read back"] = drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1))
		for name, filter := range map[string]*esdb.SubscriptionFilter{
			"follow": nil, "follow some": {Type: esdb.StreamFilterType, Prefixes: []string{"order-"}},
		} {
			sub, err := db.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{Filter: filter})
			if errs[name] = err; err == nil {
				_ = sub.Close()
			}
		}
	} else {
		_, errs["write"] = db.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event(stream))
		_, errs["read"] = drain(db.ReadStream(t.Context(), stream, esdb.ReadStreamOptions{}, 1))
		sub, err := db.SubscribeToStream(t.Context(), stream, esdb.SubscribeToStreamOptions{})
		if errs["follow"] = err; err == nil {
			_ = sub.Close()
		}
	}
	_, errs["read metadata"] = db.GetStreamMetadata(t.Context(), stream, esdb.ReadStreamOptions{})
	// These would take rights away. They fail for another reason if they are permitted.
	_, errs["write metadata"] = db.AppendToStream(t.Context(), "$$"+stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(999)}, typed("m", "$metadata"))
	if stream == "$all" {
		return errs
	}
	_, errs["delete"] = db.DeleteStream(t.Context(), stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(999)})
	_, errs["tombstone"] = db.TombstoneStream(t.Context(), stream, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Revision(999)})
	return errs
}

// denied are the names of the calls that were refused for want of a right, sorted.
func denied(errs map[string]error) string {
	maps.DeleteFunc(errs, func(_ string, err error) bool { return code(err) != esdb.ErrorCodeAccessDenied })
	return strings.Join(slices.Sorted(maps.Keys(errs)), ", ")
}

// The calls that everyCall makes, as denied gives them.
const (
	allOfLog     = "follow, follow some, read, read back"
	allOfLogMeta = allOfLog + ", read metadata, write metadata"
	allOfStream  = "delete, follow, read, read metadata, tombstone, write, write metadata"
)

func TestAUserHasTheRightsThatEventStoreDBGives(t *testing.T) {
	const everybody = `{"$acl":{"$r":"$all"}}`
	for _, c := range []struct {
		name             string
		stream, metadata string
		settings         string
		ann, bob         string // what they are denied
	}{
		{"a stream", "s", "", "", "", ""},
		{"a stream with other metadata", "s", `{"$maxCount":5,"note":1}`, "", "", ""},
		{"the log", "$all", "", "", allOfLogMeta, allOfLogMeta},
		{"the log, granted to one", "$all", `{"$acl":{"$r":["$admins","ann"]}}`, "", "read metadata, write metadata", allOfLogMeta},
		{"the log, granted to one alone", "$all", `{"$acl":{"$r":"ann"}}`, "", "read metadata, write metadata", allOfLogMeta},
		{"the log, granted to all", "$all", everybody, "", "read metadata, write metadata", "read metadata, write metadata"},
		{"the log, with the metadata", "$all", `{"$acl":{"$r":"ann","$mr":"bob"}}`, "", "read metadata, write metadata", allOfLog + ", write metadata"},
		{"a system stream", "$secret", "", "", allOfStream, allOfStream},
		{"a system stream, granted", "$secret", `{"$acl":{"$r":"ann","$w":["bob"]}}`, "",
			"delete, read metadata, tombstone, write, write metadata", "delete, follow, read, read metadata, tombstone, write metadata"},
		{"a stream of one", "s", `{"$acl":{"$r":"ann","$w":"ann","$d":"ann","$mr":"ann","$mw":"ann"}}`, "", "", allOfStream},
		{"a stream that one may write", "s", `{"$acl":{"$w":["bob"]}}`, "", "write", ""},
		{"a stream that one may delete", "s", `{"$acl":{"$d":["bob"]}}`, "", "delete, tombstone", ""},
		{"a stream whose metadata is of one", "s", `{"$acl":{"$mr":["ann"],"$mw":["bob"]}}`, "", "write metadata", "read metadata"},
		{"a stream that only administrators read", "s", `{"$acl":{"$r":"$admins"}}`, "", "follow, read", "follow, read"},
		{"a stream that nobody else reads", "s", `{"$acl":{"$r":[]}}`, "", "follow, read", "follow, read"},
		{"a list with a name that is none", "s", `{"$acl":{"$r":["ann",7]}}`, "", "", ""},
		{"a list with null", "s", `{"$acl":{"$r":[null]}}`, "", "", ""},
		{"a list without names", "s", `{"$acl":{"$r":null}}`, "", "", ""},
		{"a list with a right that doesn't exist", "s", `{"$acl":{"$r":"ann","$x":"ann"}}`, "", "", ""},
		{"a list that is a word", "$all", `{"$acl":"$userStreamAcl"}`, "", allOfLogMeta, allOfLogMeta},
		{"keys are compared exactly", "s", `{"$ACL":{"$r":"ann"},"$acl":{"$R":"ann"}}`, "", "", ""},
		{"other defaults", "s", "", `{"$userStreamAcl":{"$w":"ann"},"$systemStreamAcl":{"$r":"bob"}}`, "", "write"},
		{"other defaults for the log", "$all", "", `{"$userStreamAcl":{"$w":"ann"},"$systemStreamAcl":{"$r":["$admins","bob"]}}`,
			allOfLogMeta, "read metadata, write metadata"},
		{"a list before other defaults", "s", `{"$acl":{"$w":"bob"}}`, `{"$userStreamAcl":{"$w":"ann"}}`, "write", ""},
		{"defaults that can't be read", "s", "", `{"$userStreamAcl":[]`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openSecured(t)
			write(t, connect(t, s.dir), c.stream+"x", esdb.NoStream{}, event("first"))
			if c.metadata != "" {
				s.describe(c.stream, c.metadata)
			}
			if c.settings != "" {
				e := typed("settings", "update-default-acl")
				e.Data = []byte(c.settings)
				write(t, connect(t, s.dir), "$settings", esdb.NoStream{}, e)
			}
			for user, want := range map[string]string{"ann": c.ann, "bob": c.bob, "root": ""} {
				if got := denied(everyCall(t, s.as(user), c.stream)); got != want {
					t.Errorf("%s is denied %q, want %q", user, got, want)
				}
			}
			if got := denied(everyCall(t, connect(t, s.dir), c.stream)); got != "" {
				t.Errorf("on the socket one is denied %q", got)
			}
		})
	}
}

func TestAGrantCountsFromItsAcknowledgementAndUntilItIsTakenAway(t *testing.T) {
	s := openSecured(t)
	ann := s.as("ann")
	reading := func() esdb.ErrorCode {
		_, err := drain(ann.ReadAll(t.Context(), esdb.ReadAllOptions{}, 1))
		return code(err)
	}
	for round, c := range []struct {
		metadata string
		want     esdb.ErrorCode
	}{{`{"$acl":{"$r":"bob"}}`, esdb.ErrorCodeAccessDenied}, {`{"$acl":{"$r":["bob","ann"]}}`, -1}, {`{}`, esdb.ErrorCodeAccessDenied}} {
		s.describe("$all", c.metadata)
		if got := reading(); got != c.want {
			t.Errorf("round %d: code %d, want %d", round, got, c.want)
		}
	}
}

func TestNobodyWritesOrDeletesTheLogNorDeletesMetadataAsAStream(t *testing.T) {
	s := openSecured(t)
	s.describe("s", `{}`)
	root := s.as("root")
	_, appending := root.AppendToStream(t.Context(), "$all", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event("a"))
	_, deleting := root.DeleteStream(t.Context(), "$all", esdb.DeleteStreamOptions{})
	_, deletingMetadata := root.DeleteStream(t.Context(), "$$s", esdb.DeleteStreamOptions{})
	for what, err := range map[string]error{"append": appending, "delete": deleting, "delete of metadata": deletingMetadata} {
		if code(err) != esdb.ErrorCodeAccessDenied {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestInABatchEachAppendNeedsItsRight(t *testing.T) {
	// Given a client of the protocol itself, since the official one doesn't send batches
	s := openSecured(t)
	pem, err := os.ReadFile(s.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, "")),
		grpc.WithStreamInterceptor(basicAuthentication("ann:pw")))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	anywhere := func(stream string) *streams.BatchAppendReq_Options {
		o := into(stream)
		o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}
		return o
	}
	// When it appends where it may, where it may not, and where it may
	answers := appendBatch(t, streams.NewStreamsClient(conn),
		batched("mine", anywhere("a"), true, "1"), batched("not mine", anywhere("$secret"), true, "2"), batched("mine again", anywhere("b"), true, "3"))
	// Then the one in the middle is refused, and the others are there
	var got []string
	for _, answer := range answers {
		got = append(got, answer.GetError().GetMessage())
	}
	if want := []string{"", "AccessDenied", ""}; !slices.Equal(got, want) {
		t.Errorf("got the errors %q, want %q", got, want)
	}
}

// basicAuthentication sends a name and a password with every call.
func basicAuthentication(credentials string) grpc.StreamClientInterceptor {
	header := "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
	return func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, stream grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
		return stream(metadata.AppendToOutgoingContext(ctx, "authorization", header), desc, conn, method, o...)
	}
}
