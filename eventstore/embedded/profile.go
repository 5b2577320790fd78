package embedded

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// profile is the behaviour of one version of EventStoreDB or KurrentDB, in what differs from version to version. All of it was seen on servers
// of these versions; what the messages of subscriptions hold is in their streams.proto.
type profile struct {
	version string

	// Filtered subscriptions to $all.

	// checkpointAtEnd: there is a checkpoint when the subscription reaches the end, and when it falls behind (24.2 and later). It is where the
	// last page of the log began, or at the last event that was sent behind that: never behind the last event considered.
	checkpointAtEnd bool
	// checkpointNowhere: where nothing was sent and the first page is the last, that checkpoint is at 2^64−1, and all later ones are left
	// out (24.2 to 24.10.4). Later versions say 0.
	checkpointNowhere bool

	// All subscriptions.

	// stamped: CaughtUp and Checkpoint have a time, and CaughtUp a place (24.10.5 and later).
	stamped bool
	// dropsSlow: a live subscription whose client is slow for about 64 messages is ended (23.10). Later ones read the log again, and say so
	// by a second CaughtUp.
	dropsSlow bool
	// awaitsStream: a subscription to a stream without events is caught up only when there are some (23.10).
	awaitsStream bool
	// skipsScavenged: a subscription begins behind the first event at or after the position that the client gives. If that event was scavenged,
	// the next one is never delivered (23.10).
	skipsScavenged bool
	// deliversBeyond: a subscription that begins beyond the end delivers everything that comes (23.10). In later versions it is silent until
	// the log has passed that position.
	deliversBeyond bool
	// noPosition is the answer to who reads from a position at which no event begins.
	noPosition *status.Status

	// dataOnly: only the data of events counts against maxAppendBytes (up to 24.10.3), else their metadata and types, too.
	dataOnly bool
}

var (
	unexplained = status.New(codes.Unknown, "Unexpected ReadAllResult: Error")
	explained   = status.New(codes.InvalidArgument, "Trying to read from an invalid position.")
)

// profiles are the versions whose behaviour is known, the newest last.
var profiles = []profile{
	{version: "23.10.8", dropsSlow: true, awaitsStream: true, skipsScavenged: true, deliversBeyond: true, noPosition: unexplained, dataOnly: true},
	{version: "24.10.0", checkpointAtEnd: true, checkpointNowhere: true, noPosition: explained, dataOnly: true},
	{version: "24.10.14", checkpointAtEnd: true, stamped: true, noPosition: explained},
	{version: "25.0.1", checkpointAtEnd: true, stamped: true, noPosition: explained},
}

// Versions are the versions of EventStoreDB and KurrentDB whose behaviour a server can have, the newest last.
func Versions() []string {
	var all []string
	for _, p := range profiles {
		all = append(all, p.version)
	}
	return all
}

// profileOf is the profile of a version, of the newest if the version is empty.
func profileOf(version string) (*profile, error) {
	if version == "" {
		return &profiles[len(profiles)-1], nil
	}
	i := slices.IndexFunc(profiles, func(p profile) bool { return p.version == version })
	if i < 0 {
		return nil, fmt.Errorf("version %q: choose one of %s", version, strings.Join(Versions(), ", "))
	}
	return &profiles[i], nil
}

// slowMessages is how many messages a client may be behind where slow ones are dropped.
const slowMessages = 64

// errTooSlow ends the subscription of a client that is slow.
var errTooSlow = status.Error(codes.Aborted, "Consumer too slow to handle event while live. Client resubscription required.")

// errCommitTimeout is the answer to an append whose outcome the server doesn't know.
var errCommitTimeout = status.Error(codes.Aborted, "Operation timed out: Commit phase timeout.")

// stamp is a time for Checkpoint and CaughtUp, nil where the version sends none.
func (p *profile) stamp(now time.Time) *time.Time {
	if !p.stamped {
		return nil
	}
	return &now
}
