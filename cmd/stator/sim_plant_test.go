//go:build plantedbugs

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/sim"
)

// What a search has found can be replayed, with a page, and made smaller; without the bug the same seed passes.
func TestSimPlant(t *testing.T) {
	found := sim.Search(plant.AckBeforeFsync, 0, 20*time.Second)
	if !found.Found {
		t.Fatal("the bug is not found")
	}
	defer plant.Set(plant.None)
	dir := t.TempDir()
	seed := fmt.Sprint(found.Seed)
	sound := simReplayCommand{What: seed}
	if err := sound.Run(); err != nil {
		t.Errorf("without the bug: %v", err)
	}
	world := simWorld{plantedBug: plantedBug{Plant: "ack-before-fsync"}}
	page, small := filepath.Join(dir, "bug.html"), filepath.Join(dir, "small.json")
	var failed *simError
	if err := (&simReplayCommand{simWorld: world, What: seed, Html: page}).Run(); !errors.As(err, &failed) || failed.status != 1 {
		t.Errorf("replay of seed %s: %v", seed, err)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "after a restart") {
		t.Errorf("the page: %v", err)
	}
	plant.Set(plant.None)
	if err := (&simShrinkCommand{simWorld: world, What: seed, Out: small, For: time.Second, Runs: 20}).Run(context.Background()); err != nil {
		t.Errorf("shrink: %v", err)
	}
	plant.Set(plant.None)
	if err := (&simReplayCommand{simWorld: world, What: small}).Run(); !errors.As(err, &failed) || failed.status != 1 {
		t.Errorf("replay of the smaller plan: %v", err)
	}
	world.Plant = "no-such-bug"
	if err := (&simReplayCommand{simWorld: world, What: small}).Run(); !errors.As(err, &failed) || failed.status != 2 {
		t.Errorf("another bug: %v", err)
	}
}
