package embedded_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded"
)

// TestADeleteThatHasNoRevisionLeftIsRefused: a delete writes metadata, and the metadata stream may be tombstoned. EventStoreDB 23.10 to 24.10
// ends with an error of its own there ("FirstEventNumber"); here the call is refused and nothing is written.
func TestADeleteThatHasNoRevisionLeftIsRefused(t *testing.T) {
	dir := t.TempDir()
	server := open(t, embedded.Options{Dir: dir})
	db := connect(t, dir)
	write(t, db, "s", esdb.NoStream{}, event("t"))
	if _, err := db.TombstoneStream(t.Context(), "$$s", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		t.Fatal(err)
	}
	for _, expected := range []esdb.ExpectedRevision{esdb.Any{}, esdb.Revision(0), esdb.StreamExists{}} {
		_, err := db.DeleteStream(t.Context(), "s", esdb.DeleteStreamOptions{ExpectedRevision: expected})
		if code(err) != esdb.ErrorCodeStreamDeleted || !strings.Contains(err.Error(), "'$$s' is deleted") {
			t.Errorf("expecting %v: %v", expected, err)
		}
	}
	want := []string{"t", "$streamDeleted"}
	if got := names(readAll(t, db, esdb.Forwards, esdb.Start{}, everything)); !slices.Equal(got, want) {
		t.Errorf("the log holds %v, want %v", got, want)
	}
	write(t, db, "s", esdb.Revision(0), event("u"))

	_ = db.Close()
	shut(t, server)
	if report, err := embedded.Check(t.Context(), dir, nil); err != nil || report.Found != 0 {
		t.Errorf("the check found %+v, %v", report, err)
	}
	open(t, embedded.Options{Dir: dir})
	if got := names(readAll(t, connect(t, dir), esdb.Backwards, esdb.End{}, everything)); !slices.Equal(got, []string{"u", "$streamDeleted", "t"}) {
		t.Errorf("after a restart the log holds %v", got)
	}
}
