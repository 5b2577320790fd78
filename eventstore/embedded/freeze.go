package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	backupService = "loyalty.eventstore.Backup"
	backupMethod  = "Freeze"

	// frozenPrefix begins the name of a folder beside the database that stands still while it is copied.
	frozenPrefix = ".frozen-"

	// freezeAttempts bounds how often a frozen folder that doesn't open is made anew. Pebble copies its write-ahead log while
	// it is written to, piece by piece; where the writer overtakes the copy, the copy has a piece of old between pieces of
	// new, which looks like damage. It takes bad luck to meet that once.
	freezeAttempts = 5
)

// offerBackup adds to the server what Backup asks of a running store, and removes what a killed one may have left of it.
//
// The service is not part of the protocol, and only there for the Unix socket. It takes no arguments and writes nothing but
// a folder beside the database, so whoever may connect there can ask for nothing more than the room that it takes: hard
// links to the table files, which keep those that are replaced meanwhile, and a copy of the write-ahead log.
func (s *Server) offerBackup() {
	stale, err := filepath.Glob(filepath.Join(globbed(s.dir), frozenPrefix+"*"))
	for _, dir := range stale {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		s.log.Warn("what is left of a backup can't be removed", "error", err)
	}
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: backupService,
		Streams: []grpc.StreamDesc{{StreamName: backupMethod, ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			return s.freeze(stream)
		}}},
	}, nil)
}

// globbed is a path as a pattern that stands for itself.
func globbed(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// freeze makes a folder that has all that is acknowledged by now, tells its name, and keeps it until the call ends.
func (s *Server) freeze(stream grpc.ServerStream) (err error) {
	ctx := stream.Context()
	if from, ok := peer.FromContext(ctx); !ok || from.Addr.Network() != "unix" {
		return status.Error(codes.Unimplemented, "backups are made through the Unix socket only")
	}
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.dir, frozenPrefix)
	if err != nil {
		return clearer(err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := s.freezeInto(filepath.Join(dir, dataFolder)); err != nil {
		return clearer(err)
	}
	if err := stream.SendMsg(wrapperspb.String(filepath.Base(dir))); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-s.service.closing:
		return errClosing
	}
}

// checkpoint has Pebble copy its files. Where the disk refuses writes, that may take until it no longer does; a shutdown
// doesn't wait for it, since store.close then leaves the database as it is.
func (s *Server) checkpoint(data string) error {
	if err := s.store.disk.trouble(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.store.db.Checkpoint(data) }()
	select {
	case err := <-done:
		return err
	case <-s.service.closing:
	}
	select {
	case err := <-done:
		return err
	case <-s.store.disk.alarmed():
		return errClosing
	}
}

// freezeInto makes a copy of the database in a new folder, and makes sure that it opens and reaches as far as was
// acknowledged before.
func (s *Server) freezeInto(data string) error {
	acknowledged := s.store.end()
	for attempt := 1; ; attempt++ {
		err := s.checkpoint(data)
		if err == nil {
			err = writeMark(data, acknowledged)
		}
		if err != nil {
			return err
		}
		if _, err = endOf(data); err == nil || attempt == freezeAttempts {
			return err
		}
		s.log.Info("backup: the write-ahead log was overtaken while it was copied; copying again", "error", err)
		if err := os.RemoveAll(data); err != nil {
			return err
		}
	}
}

// writeMark notes in a copy how far it must reach.
func writeMark(data string, acknowledged uint64) error {
	m, _, err := openMark(vfs.Default, data)
	if err != nil {
		return err
	}
	return errors.Join(m.set(acknowledged), m.close())
}
