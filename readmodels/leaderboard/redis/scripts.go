package redis

import (
	"embed"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/*.lua
var scripts embed.FS

// script is sent in full only to a server that doesn't know it yet; after that its SHA-1 is enough (EVALSHA).
type script struct {
	*redis.Script
	kind kind
}

// kind is a script's flags, by which Redis decides whether it may start.
type kind string

const (
	// reads changes nothing. If its connection is lost, it is retried once on another.
	reads kind = " flags=no-writes"
	// writes does not start without memory, disk or the required replicas.
	writes kind = ""
	// removes takes no memory, so it may run when there is none left.
	removes kind = " flags=allow-oom"
)

var (
	dashboardsScript = newScript("dashboards", reads)
	standingsScript  = newScript("standings", reads)
	claimScript      = newScript("claim", writes)
	stageScript      = newScript("stage", writes)
	swapScript       = newScript("swap", writes)
	dropScript       = newScript("drop", removes)
	copyScript       = newScript("copy", removes)
	discardScript    = newScript("discard", removes)
	switchScript     = newScript("switch", removes)
)

func newScript(name string, kind kind) script {
	return script{redis.NewScript("#!lua" + string(kind) + "\n" + source("state") + source(name)), kind}
}

func source(name string) string {
	text, err := scripts.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err) // the file is embedded
	}
	return string(text)
}
