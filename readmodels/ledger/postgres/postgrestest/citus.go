package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
)

// CitusVariable is the name of the environment variable with the postgres:// address of a coordinator of Citus, in a database that has its workers; its user
// must be allowed to create databases and extensions on all of them, without a password.
const CitusVariable = "LOYALTY_TEST_CITUS"

// Citus is a coordinator of Citus and its workers.
type Citus struct {
	t       testing.TB
	address *url.URL
	workers []node
}

type node struct {
	name string
	port int
}

// OnCitus is the coordinator that CitusVariable names. Without one the test is skipped, and says so.
func OnCitus(t testing.TB) *Citus {
	t.Helper()
	there := os.Getenv(CitusVariable)
	if there == "" {
		t.Skipf("%s names no coordinator of Citus, so nothing is tried there", CitusVariable)
	}
	address, err := url.Parse(there)
	if err != nil {
		t.Fatalf("%s is no address: %v", CitusVariable, errors.Unwrap(err))
	}
	c := &Citus{t: t, address: address}
	err = c.on(c.address, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT nodename, nodeport FROM pg_dist_node WHERE groupid > 0 AND noderole = 'primary' AND isactive`)
		if err != nil {
			return err
		}
		c.workers, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (n node, err error) {
			err = row.Scan(&n.name, &n.port)
			return n, err
		})
		return err
	})
	if err != nil || len(c.workers) == 0 {
		t.Fatalf("the workers of the coordinator that %s names: %v, %v", CitusVariable, c.workers, err)
	}
	return c
}

// URL creates an empty database on all nodes, which is dropped when the test ends, and returns its address on the coordinator.
func (c *Citus) URL() string {
	c.t.Helper()
	name := fmt.Sprintf("loyalty_test_%d_%d", os.Getpid(), databases.Add(1))
	nodes := []*url.URL{c.address}
	for _, w := range c.workers {
		at := *c.address
		at.Host = fmt.Sprintf("%s:%d", w.name, w.port)
		nodes = append(nodes, &at)
	}
	c.t.Cleanup(func() {
		for _, at := range nodes {
			if err := c.run(at, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
				c.t.Errorf("the test's database: %v", err)
			}
		}
	})
	in := func(at *url.URL) *url.URL {
		made := *at
		made.Path = "/" + name
		return &made
	}
	for _, at := range nodes {
		err := errors.Join(c.run(at, "CREATE DATABASE "+name+" STRATEGY FILE_COPY"), c.run(in(at), "CREATE EXTENSION citus"))
		if err != nil {
			c.t.Fatalf("a database for the test: %v", err)
		}
	}
	statements := []string{fmt.Sprintf("SELECT citus_set_coordinator_host('%s', %s)", c.address.Hostname(), c.address.Port())}
	for _, w := range c.workers {
		statements = append(statements, fmt.Sprintf("SELECT citus_add_node('%s', %d)", w.name, w.port))
	}
	if err := c.run(in(c.address), statements...); err != nil {
		c.t.Fatalf("the workers of a database for the test: %v", err)
	}
	address := in(c.address)
	address.RawQuery = url.Values{"engine": {"citus"}}.Encode()
	return address.String()
}

func (c *Citus) run(at *url.URL, statements ...string) error {
	return c.on(at, func(ctx context.Context, conn *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Citus) on(at *url.URL, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, at.String())
	if err != nil {
		return err
	}
	return errors.Join(do(ctx, conn), conn.Close(ctx))
}
