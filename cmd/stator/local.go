package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// localDir is the database within the directory that -dbPath names, which may
// hold other things.
const localDir = "stator-data"

// translated returns the arguments for this command if args are those of
// DynamoDB Local, whose options begin with one dash, with or without the word
// serve in front; other args come back as they are.
//
//	-port N                      --addr 127.0.0.1:N
//	-inMemory                    --memory
//	-sharedDb                    --shared
//	-dbPath DIR                  --dir DIR/stator-data
//	-cors ORIGINS                --cors ORIGINS
//	-delayTransientStatuses      the usual --table-delay; without it there is none
//	-optimizeDbBeforeStartup     --optimize
//	-disableTelemetry            nothing: there is none
//	-help, -version              --help, version
func translated(args []string) []string {
	rest := args
	if len(rest) > 0 && rest[0] == "serve" {
		rest = rest[1:]
	}
	if !slices.ContainsFunc(rest, isLocal) {
		return args
	}
	out := []string{"serve"}
	delayed := false
	for i := 0; i < len(rest); i++ {
		name, value, given := strings.Cut(rest[i], "=")
		// next is the value of an option that has one.
		next := func() string {
			if !given && i+1 < len(rest) {
				i++
				value = rest[i]
			}
			return value
		}
		switch name {
		case "-port":
			out = append(out, "--addr=127.0.0.1:"+next())
		case "-inMemory":
			out = append(out, "--memory")
		case "-sharedDb":
			out = append(out, "--shared")
		case "-dbPath":
			out = append(out, "--dir="+filepath.Join(next(), localDir))
		case "-cors":
			out = append(out, "--cors="+next())
		case "-delayTransientStatuses":
			delayed = true
		case "-optimizeDbBeforeStartup":
			out = append(out, "--optimize")
		case "-disableTelemetry":
		case "-help":
			out = append(out, "--help")
		case "-version":
			return []string{"version"}
		default:
			out = append(out, rest[i])
		}
	}
	if !delayed {
		out = append(out, "--table-delay=0s")
	}
	return out
}

var localOptions = []string{
	"-port", "-inMemory", "-sharedDb", "-dbPath", "-cors", "-delayTransientStatuses", "-optimizeDbBeforeStartup", "-disableTelemetry", "-help", "-version",
}

func isLocal(arg string) bool {
	name, _, _ := strings.Cut(arg, "=")
	return slices.Contains(localOptions, name)
}
