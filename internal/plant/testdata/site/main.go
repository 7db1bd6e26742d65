// A program with a site, for the test that looks for traces of it.
package main

import "github.com/statordb/stator/internal/plant"

func main() {
	if plant.On(plant.AckBeforeFsync) {
		println("the branch of a planted bug")
	}
}
