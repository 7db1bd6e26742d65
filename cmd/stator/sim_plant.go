//go:build plantedbugs

package main

import "github.com/statordb/stator/internal/plant"

// plantedBug is the bug of the worlds that are run, to look at what 'sim bugs' has found.
type plantedBug struct {
	Plant string `placeholder:"BUG" help:"Plant this bug in all of them; 'sim bugs --list' names them."`
}

// plant plants it in this process.
func (p *plantedBug) plant() error {
	if p.Plant == "" {
		return nil
	}
	e, err := plant.Find(p.Plant)
	if err != nil {
		return &simError{2, err}
	}
	plant.Set(e.Bug)
	return nil
}

// arguments make another process plant the same.
func (p *plantedBug) arguments() []string {
	if p.Plant == "" {
		return nil
	}
	return []string{"--plant=" + p.Plant}
}
