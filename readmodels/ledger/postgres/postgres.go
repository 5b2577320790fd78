// Package postgres keeps the ledger in PostgreSQL 15 or later, or in a compatible engine.
//
// Everything is in the schema ledger of the database, or in one that the address names; a copy, during a rebuild, is in a schema whose name
// goes on with _copy_. Any number of processes may open, read and feed the same ledger.
//
// A batch and its checkpoint are one transaction, which is durable when Apply returns. For speed, synchronous_commit=off may be set in
// the address's options: what a crash of the server then loses, it loses with its checkpoint, and it is folded again from the log.
//
// Nothing depends on a session: no statement is prepared by name, and every setting and lock ends with its transaction. So a pooler may give
// each transaction another connection.
package postgres

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/schema"
)

// Ledger is a ledger in a Postgres database. It is a ledger.Reader, Finder, Auditor, Earner, Writer and Rebuilder.
type Ledger struct {
	pool *pgxpool.Pool
	// live is the schema of the live ledger. schema is the same, or that of a copy.
	live, schema string
	progress     *ledger.Progress
	partitions   knownPartitions
	// Accounts are read in pieces of about perPiece, by so many readers at once. The bounds are from so many percent of the pages.
	perPiece, readers int
	sampled           float32
	// distributed says that the tables are spread over the nodes of Citus.
	distributed bool
	// credentials sets the user and the password of a new connection; nil if they stay.
	credentials func(context.Context, *pgx.ConnConfig) error
	// checked is true once a connection has found the schema in the version of this program.
	checked *atomic.Bool
}

var (
	_ ledger.Reader    = (*Ledger)(nil)
	_ ledger.Finder    = (*Ledger)(nil)
	_ ledger.Auditor   = (*Ledger)(nil)
	_ ledger.Earner    = (*Ledger)(nil)
	_ ledger.Writer    = (*Ledger)(nil)
	_ ledger.Rebuilder = (*Ledger)(nil)
)

// The schemas of the ledgers.
const (
	// defaultSchema is where the live ledger is, unless the address says otherwise.
	defaultSchema = "ledger"
	// The schema of a copy, which a rebuild fills, has this and a number after the name of the live one.
	copyInfix = "_copy_"
	// The ledger that a switch has replaced has this after the name of the live one, until it is removed.
	formerSuffix = "_past"
)

// Defaults that the address can change, except answerTimeout.
const (
	connections    = 16
	connectTimeout = 5 * time.Second
	// answerTimeout bounds every statement beside the caller's context, because a server can vanish without closing its connections.
	// The stream of Hours is unbounded.
	answerTimeout = time.Minute
)

// Open prepares to use the ledger in the database at address (postgres://user:password@host/database?…). It asks nothing of the server, which
// may be away: every new connection is checked before its first use. As long as the server can't be reached, the schema is missing or of
// another version, or the server's settings would falsify answers, all methods but Migrate return domain.ErrUnavailable, with what to do.
//
// The address may set libpq's parameters, pool_max_conns (default 16), connect_timeout (in seconds, default 5), schema (default ledger): where
// the tables are; and engine=citus for a coordinator of Citus, over whose workers Migrate spreads them. An address that is none is an error. again, if it is not nil, reads the address anew for each new connection, whose user and
// password are then those of that address: they may be changed while this runs. Close the ledger after use.
func Open(ctx context.Context, address string, again func() (string, error)) (*Ledger, error) {
	// A password cut off by one of these would make of its beginning the host or the port to dial.
	if _, rest, isURL := strings.Cut(address, "://"); isURL {
		if end := strings.IndexAny(rest, "/?#"); end >= 0 && strings.Contains(rest[end:], "@") {
			return nil, fmt.Errorf("the ledger's address: %w", domain.Invalid("ledger", "address_malformed",
				"in a password / is written %2F, ? is %3F and # is %23; @ in what follows the host is %40"))
		}
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("the ledger's address: %w", err)
	}
	if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = connections
	}
	if !strings.Contains(address, "connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	parameters := config.ConnConfig.RuntimeParams
	if _, set := parameters["application_name"]; !set {
		parameters["application_name"] = "loyalty"
	}
	// Another encoding of the role or the database would change what is stored.
	parameters["client_encoding"] = "UTF8"
	if !strings.Contains(address, "default_query_exec_mode") {
		// A statement prepared by name belongs to a session, which a pooler may give to somebody else.
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	engine := parameters["engine"]
	if delete(parameters, "engine"); engine != "" && engine != "citus" {
		return nil, fmt.Errorf("the ledger's address: %w", domain.Invalid("engine", "engine_unknown", "an engine other than Postgres itself is citus"))
	}
	live := defaultSchema
	if named, set := parameters["schema"]; set {
		delete(parameters, "schema")
		if !schemaName.MatchString(named) || strings.HasPrefix(named, "pg_") || strings.Contains(named, copyInfix) || strings.HasSuffix(named, formerSuffix) {
			return nil, fmt.Errorf("the ledger's address: %w", domain.Invalid("schema", "schema_malformed",
				"a schema is of 1 to 30 of a-z, 0-9 and _, begins with a letter, not with pg_, and neither contains "+copyInfix+" nor ends in "+formerSuffix))
		}
		live = named
	}
	l := &Ledger{live: live, schema: live, progress: ledger.NewProgress(), perPiece: accountsPerPiece, readers: accountReaders, sampled: accountSample, distributed: engine != "", checked: new(atomic.Bool)}
	config.AfterConnect = l.check
	if again != nil {
		l.credentials = func(_ context.Context, connection *pgx.ConnConfig) error {
			text, err := again()
			if err != nil {
				return err
			}
			now, err := pgx.ParseConfig(text)
			if err == nil {
				connection.User, connection.Password = now.User, now.Password
			}
			return err
		}
		config.BeforeConnect = l.credentials
	}
	if l.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("the ledger's address: %w", err)
	}
	return l, nil
}

// schemaName leaves room for what the names of copies and partitions add, up to 63 bytes.
var schemaName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,29}$`)

// check refuses a connection to what is not a ledger of this version, or to a server whose settings would falsify answers. All of that may be
// put right while this process runs. A process that has found its version goes on when another process migrates.
func (l *Ledger) check(ctx context.Context, conn *pgx.Conn) error {
	answers, err := conn.PgConn().Exec(ctx, l.in(`SHOW server_encoding; SELECT max(version_id) FROM ledger.goose_db_version WHERE is_applied`)).ReadAll()
	if err != nil && !isMissing(err) {
		return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
	}
	var encoding, version string
	for i, target := range []*string{&encoding, &version} {
		if i < len(answers) && len(answers[i].Rows) > 0 {
			*target = string(answers[i].Rows[0][0])
		}
	}
	at := 0
	_, _ = fmt.Sscan(version, &at)
	const remedy = "run loyalty migrate, or start a process with the project role"
	switch needs := schema.Version(); {
	case encoding != "UTF8" && encoding != "SQL_ASCII":
		err = fmt.Errorf("the database's encoding is %s, which can't hold every text: make one with ENCODING 'UTF8'", encoding)
	case err != nil, at == 0:
		err = fmt.Errorf("there is no ledger in the schema %s: %s", l.live, remedy)
	case at < needs:
		err = fmt.Errorf("the ledger's schema has version %d, this program needs %d: %s", at, needs, remedy)
	case at > needs && !l.checked.Load():
		err = schema.Newer(at)
	default:
		l.checked.Store(true)
		return nil
	}
	return fmt.Errorf("%w: %w", errUnsuitable, err)
}

// Migrate makes the ledger's schema, or brings it up to date. Processes that do so at once take turns; this may be repeated, also after it was
// interrupted, and goes on where it was. Most of what takes long is done in pieces while others read and write. report, if it is not nil, is called
// with what is being done. Errors: domain.ErrUnavailable if the server can't be reached or refuses, as it does without the right to; one for a
// schema that a newer program has migrated.
func (l *Ledger) Migrate(ctx context.Context, report schema.Report) error {
	if err := l.tables().Migrate(ctx, schema.Version(), report); err != nil {
		return fmt.Errorf("migrate the ledger: %w", classify(ctx, err))
	}
	return nil
}

// tables are those of this ledger, on connections of their own, which nothing checks.
func (l *Ledger) tables() schema.Schema {
	return schema.Schema{Name: l.schema, Distributed: l.distributed, Config: l.pool.Config().ConnConfig, Credentials: l.credentials}
}

// in puts the ledger's own schema into a statement that names the tables in the schema ledger.
func (l *Ledger) in(statement string) string {
	if l.distributed {
		// There the name of a shard's table has the schema in it, which a switch renames: see replaced.
		statement = strings.ReplaceAll(statement, stillLive, "")
	}
	if l.schema == defaultSchema {
		return statement
	}
	return strings.ReplaceAll(statement, defaultSchema+".", l.schema+".")
}

// Close waits for running statements and closes all connections. Every method then returns domain.ErrUnavailable.
func (l *Ledger) Close() error {
	l.pool.Close()
	return nil
}
