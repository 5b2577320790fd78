package redis

import (
	"embed"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/*.lua
var scripts embed.FS

// script is sent whole only to a server that doesn't know it yet; after that its name, a hash, is enough.
type script struct {
	*redis.Script
	kind kind
}

// kind is what a script asks Redis to allow, or to refuse before it has begun.
type kind string

const (
	// reads changes nothing. If its connection turns out to be lost, it is run once more on another.
	reads kind = " flags=no-writes"
	// writes is refused when there is no memory, no disk, or no replica that there should be.
	writes kind = ""
	// removes takes no memory, so it may run when there is none.
	removes kind = " flags=allow-oom"
)

var (
	dashboardsScript = newScript("dashboards", reads)
	standingsScript  = newScript("standings", reads)
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
		panic(err) // it is part of the program
	}
	return string(text)
}
