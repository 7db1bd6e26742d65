package main

import (
	"strings"
	"testing"
)

// The options of DynamoDB Local, and those of this command, which stay.
func TestTranslated(t *testing.T) {
	for args, want := range map[string]string{
		"":                         "",
		"serve":                    "serve",
		"serve --memory -v":        "serve --memory -v",
		"inspect --dir x":          "inspect --dir x",
		"-inMemory":                "serve --memory --table-delay=0s",
		"serve -port 9000":         "serve --addr=127.0.0.1:9000 --table-delay=0s",
		"-port=9000 -sharedDb":     "serve --addr=127.0.0.1:9000 --shared --table-delay=0s",
		"-dbPath /data -sharedDb":  "serve --dir=/data/stator-data --shared --table-delay=0s",
		"-cors a,b -inMemory":      "serve --cors=a,b --memory --table-delay=0s",
		"-delayTransientStatuses":  "serve",
		"-optimizeDbBeforeStartup": "serve --optimize --table-delay=0s",
		"-disableTelemetry":        "serve --table-delay=0s",
		"-help":                    "serve --help --table-delay=0s",
		"-version":                 "version",
		"-inMemory --no-mmap":      "serve --memory --no-mmap --table-delay=0s",
		"-port":                    "serve --addr=127.0.0.1: --table-delay=0s",
	} {
		if got := strings.Join(translated(strings.Fields(args)), " "); got != want {
			t.Errorf("translated(%q) = %q, want %q", args, got, want)
		}
	}
}
