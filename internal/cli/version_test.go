package cli

import (
	"runtime/debug"
	"testing"
)

func TestVersionSaysWhatTheProgramWasBuiltFrom(t *testing.T) {
	build := func(settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.26.1", Main: debug.Module{Version: "v1.2.0"}, Settings: settings}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "3cfd906b"}
	for name, c := range map[string]struct {
		info  *debug.BuildInfo
		known bool
		want  string
	}{
		"a clean checkout":      {build(revision, debug.BuildSetting{Key: "vcs.modified", Value: "false"}), true, "loyalty v1.2.0\nrevision  3cfd906b\nbuilt by  go1.26.1"},
		"a changed checkout":    {build(revision, debug.BuildSetting{Key: "vcs.modified", Value: "true"}), true, "loyalty v1.2.0\nrevision  3cfd906b, with uncommitted changes\nbuilt by  go1.26.1"},
		"outside a repository":  {build(), true, "loyalty v1.2.0\nrevision  unknown: built outside its repository\nbuilt by  go1.26.1"},
		"no information at all": {nil, false, "loyalty, built without information about its version"},
	} {
		if got := version(c.info, c.known); got != c.want {
			t.Errorf("%s: it says\n%s\nwant\n%s", name, got, c.want)
		}
	}
}
