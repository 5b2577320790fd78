package cli

import (
	"fmt"
	"runtime/debug"
)

// version is what --version prints of a build: its version, the revision it was built from, and the Go version. A build made outside a
// repository has no revision, and says so.
func version(info *debug.BuildInfo, known bool) string {
	if !known {
		return "loyalty, built without information about its version"
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := "unknown: built outside its repository"
	if r := settings["vcs.revision"]; r != "" {
		revision = r
		if settings["vcs.modified"] == "true" {
			revision += ", with uncommitted changes"
		}
	}
	return fmt.Sprintf("loyalty %s\nrevision  %s\nbuilt by  %s", info.Main.Version, revision, info.GoVersion)
}
