package main

import (
	"bytes"
	"testing"

	"github.com/alecthomas/kong"
)

// The server's own grammar says the same as that of all commands.
func TestGrammarOfTheServer(t *testing.T) {
	t.Setenv("COMP_LINE", "")
	say := func(grammar any, args ...string) string {
		var out bytes.Buffer
		ended := false
		parser, err := kong.New(grammar, kong.Name("stator"), kong.Writers(&out, &out), kong.ShortUsageOnError(), kong.Exit(func(int) { ended = true }))
		if err != nil {
			t.Fatal(err)
		}
		k, err := parser.Parse(args)
		if err != nil && !ended {
			parser.FatalIfErrorf(err)
		} else if !ended {
			out.WriteString(k.Command())
		}
		return out.String()
	}
	if _, all := grammar([]string{"bench"}).(*commands); !all {
		t.Error("another command has a grammar of its own")
	}
	for _, args := range [][]string{
		{"serve"}, {"serve", "--help"}, {"serve", "--memory", "--az", "a"}, {"serve", "--nonsense"}, {"serve", "more"}, {"serve", "--sync", "maybe"},
	} {
		if got, want := say(grammar(args), args...), say(&commands{}, args...); got != want || got == "" {
			t.Errorf("%q: got\n%s\nwant\n%s", args, got, want)
		}
	}
}
