package embedded_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"google.golang.org/grpc"

	"loyalty/eventstore/embedded"
)

// The parts of the client's own tests that are run, and those that docs/event-store.md says are not, and why.
const (
	clientSuite        = "^(TestStreams|TestMisc)$"
	clientSuiteSkipped = "^TestStreams$/^ClusterTests$"
)

var clientSuitePasses = []string{
	"TestStreams/AppendTests/appendToStreamSingleEventNoStream",
	"TestStreams/AppendTests/appendWithInvalidStreamRevision",
	"TestStreams/AppendTests/metadataOperation",
	"TestStreams/ReadStreamTests/readStreamReturnsEOFAfterCompletion",
	"TestStreams/ReadStreamTests/readStreamNotFound",
	"TestStreams/ReadStreamTests/readStreamWithMaxAge",
	"TestStreams/ReadStreamTests/readStreamWithCredentialsOverride",
	"TestStreams/SubscriptionTests/subscriptionAllFilter",
	"TestStreams/DeleteTests/canDeleteStream",
	"TestStreams/DeleteTests/canTombstoneStream",
	"TestStreams/DeleteTests/detectStreamDeleted",
	"TestStreams/ConnectionTests/closeConnection",
}

// Those that need a container, or the database in its image. In cluster mode, which needs no Docker, they skip themselves.
var clientSuiteNeedsContainer = []string{
	"TestStreams/AppendTests/appendToSystemStreamWithIncorrectCredentials",
	"TestStreams/ReadStreamTests/readStreamEventsForwardsFromZeroPosition",
	"TestStreams/ReadStreamTests/readStreamEventsBackwardsFromEndPosition",
	"TestStreams/SubscriptionTests/streamSubscriptionDeliversAllEventsInStreamAndListensForNewEvents",
	"TestStreams/SubscriptionTests/allSubscriptionWithFilterDeliversCorrectEvents",
	"TestStreams/SubscriptionTests/connectionClosing",
	"TestStreams/SubscriptionTests/subscriptionAllWithCredentialsOverride",
	"TestStreams/SubscriptionTests/subscriptionToStreamCaughtUpMessage",
}

// electedLeader answers the one call by which the client's tests find out, before they begin, whether a leader has been
// elected: they create a persistent subscription, which nobody then uses.
type electedLeader struct {
	persistent.UnimplementedPersistentSubscriptionsServer
}

func (electedLeader) Create(context.Context, *persistent.CreateReq) (*persistent.CreateResp, error) {
	return &persistent.CreateResp{}, nil
}

// TestTheClientsOwnTests runs the official client's own tests, unmodified, in its module's folder, against a server on the
// port that is written into them.
func TestTheClientsOwnTests(t *testing.T) {
	// Given a new server with TLS and the user whom the tests know, who is in $users
	config, _ := certificate(t)
	dir := t.TempDir()
	open(t, embedded.Options{Dir: dir, Addr: "127.0.0.1:2111", TLS: config, Users: map[string]embedded.User{"admin": {Password: "changeit", Administrator: true}}}.
		Beside(func(r grpc.ServiceRegistrar) { persistent.RegisterPersistentSubscriptionsServer(r, electedLeader{}) }))
	write(t, connect(t, dir), "$users", esdb.NoStream{}, typed("admin", "$User"))

	// When they run
	folder, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/EventStore/EventStore-Client-Go/v4").Output()
	if err != nil {
		t.Fatal(err)
	}
	suite := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-json", "-run", clientSuite, "-skip", clientSuiteSkipped, "./esdb")
	suite.Dir = strings.TrimSpace(string(folder))
	suite.Env = append(os.Environ(), "CLUSTER=true", "EVENTSTORE_INSECURE=false")
	out, err := suite.Output()
	outcomes, log := clientSuiteOutcomes(out)
	if err != nil {
		t.Errorf("%v\n%s", err, log)
	}

	// Then each of them passes that can
	for _, name := range clientSuitePasses {
		if outcomes[name] != "pass" {
			t.Errorf("%s: %q", name, outcomes[name])
		}
	}
	for name, outcome := range outcomes {
		if outcome == "fail" || (outcome == "skip") != slices.Contains(clientSuiteNeedsContainer, name) {
			t.Errorf("%s: %s", name, outcome)
		}
	}
}

// clientSuiteOutcomes reads what "go test -json" says.
func clientSuiteOutcomes(out []byte) (outcomes map[string]string, log string) {
	outcomes = map[string]string{}
	var text strings.Builder
	for line := range bytes.Lines(out) {
		var event struct{ Action, Test, Output string }
		if json.Unmarshal(line, &event) != nil {
			fmt.Fprintf(&text, "%s", line)
			continue
		}
		text.WriteString(event.Output)
		if event.Test != "" && slices.Contains([]string{"pass", "fail", "skip"}, event.Action) {
			outcomes[event.Test] = event.Action
		}
	}
	return outcomes, text.String()
}
