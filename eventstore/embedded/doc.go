// Package embedded is an event store in this process: a folder on disk, served over the EventStoreDB protocol, so that the
// official client talks to it exactly as it talks to a cluster.
//
// # In a test
//
// Package embeddedtest opens a store for a test and connects the client, in one line. Without it, a test opens a Server on a
// folder of its own (t.TempDir), connects to "esdb://" + Server.Addr() + "?tls=false" or to the socket that SocketTarget names, and
// closes the client before the Server; the package's example does so. The package imports the standard library, Pebble, gRPC and the
// client's messages, and nothing else of this module.
//
// # What lies on disk
//
// The folder holds `lock` (held by the one process that serves the folder), `eventstore.sock` (the socket it is reached
// through, mode 0600) and `data`, which holds `acknowledged` (the position of the last event that was acknowledged) and a
// Pebble database with four kinds of keys:
//
//	e <position>                  one event: checksum, then the RecordedEvent message as it goes over the wire
//	f                             the version of this layout
//	h <stream>                    the stream's last revision and that event's position, and where its first append lies
//	s <stream> <revision>         the position of that event, for events after the first append
//
// Keeping the wire message means that reading history is a checksum and a copy. Positions and revisions are big-endian, so
// that key order is log order.
//
// # Positions
//
// The position of the n-th event ever written is n: strictly increasing from 1, without holes, commit equal to prepare. So
// the number of events between two positions is their difference, and a hole in the log is damage, found when it is read.
//
// # Writing
//
// One goroutine writes. It takes every append that is waiting, decides them one after the other (each seeing the effect of
// those before it), puts them into one batch, has it fsynced, and only then answers them all. An append lies in one batch,
// so it is there whole or not at all.
//
// # When nothing can be written
//
// Appends stop while the disk still has a reserve (64 MiB, or an eighth of a small disk), because what was appended has yet
// to be sorted into tables. They are refused as unavailable and are not written. A write that the system refuses all the
// same, for want of room, of permission or for a limit, waits and is tried again; an append that is in the middle of it is
// told that it may be written or not, and repeating it with the same ids and an explicit revision finds out. Reads go on,
// and appends do as soon as there is room, without a restart. Only a sync that fails is not repeated: the system may have
// dropped what it couldn't write. Then appends are refused until the store is opened again and reads what is really there.
//
// # After a crash
//
// Everything acknowledged has been synced before. A write that nobody was told of may be there or not, but never in part.
// Every block on disk has a checksum, and a damaged one is reported when it is read; in the write-ahead log and in the list
// of table files when the store is opened. At the very end of the log, damage looks like a write that a crash cut short,
// hence the file `acknowledged`: a log that ends before it is reported. That file is written before an append is answered,
// but not synced. So after a process was killed nothing acknowledged can be missing unnoticed; after the machine failed,
// damage could go unnoticed in the last records of the log, when they are younger than the system's last write-back (some
// 30 s). A store that is reported damaged when it is opened keeps all its files.
//
// # Reading
//
// Readers see only what has been fsynced: an event that could still vanish in a crash is never shown. They read in pages
// with a new iterator for each, so a client that stops reading holds one page and nothing else. A subscription is the same
// reader with a place to wait: it has no queue that could overflow, hence nothing to lose.
package embedded
