//go:build !plantedbugs

package main

// plantedBug is nothing in a program in which no bugs can be planted.
type plantedBug struct{}

func (*plantedBug) plant() error        { return nil }
func (*plantedBug) arguments() []string { return nil }
