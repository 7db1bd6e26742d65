package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"time"
)

// startFigures prints the time to the first answer and idle memory.
func startFigures(stator, dir string) error {
	var ms []float64
	var rss float64
	for i := range 7 {
		began := time.Now()
		p, err := startStator(stator, "--dir", filepath.Join(dir, fmt.Sprint("start", i)))
		if err != nil {
			return err
		}
		if _, err := call(p.url, "ListTables", []byte("{}")); err != nil {
			return err
		}
		ms = append(ms, float64(time.Since(began).Microseconds())/1000)
		time.Sleep(300 * time.Millisecond)
		rss = p.rssMiB()
		p.kill()
	}
	fmt.Printf("start to first answer, empty directory: %.1f ms (median of %d); idle RSS %.1f MiB\n", median(ms), len(ms), rss)
	return nil
}

// restartFigure fills a database, kills it and prints the time until the next
// process answers a read of the last item.
func restartFigure(stator, dir string, mb int) error {
	data := filepath.Join(dir, "restart")
	p, err := startStator(stator, "--dir", data, "--sync", "never")
	if err != nil {
		return err
	}
	batches := mb * 1024 / 25
	err = fill(p, batches)
	p.kill()
	if err != nil {
		return err
	}
	began := time.Now()
	if p, err = startStator(stator, "--dir", data); err != nil {
		return err
	}
	defer p.kill()
	got, err := call(p.url, "GetItem", fmt.Appendf(nil, `{"TableName":"edge-items","Key":{%s}}`, itemKey(batches*25-1)))
	if err != nil || !bytes.Contains(got, []byte("attr7")) {
		return fmt.Errorf("last item is gone after kill: %s %v", got, err)
	}
	fmt.Printf("restart after kill -9 with %d MiB of items to first read: %.0f ms\n", mb, float64(time.Since(began).Microseconds())/1000)
	return nil
}

// fill writes batches of 25 new items each.
func fill(p *process, batches int) error {
	if err := createTable(p.url, "edge-items", createItems); err != nil {
		return err
	}
	c, err := dial(p.addr())
	if err != nil {
		return err
	}
	defer c.close()
	for b := range batches {
		var body bytes.Buffer
		body.WriteString(`{"RequestItems":{"edge-items":[`)
		for i := range 25 {
			if i > 0 {
				body.WriteByte(',')
			}
			body.WriteString(`{"PutRequest":{"Item":` + item(b*25+i) + `}}`)
		}
		body.WriteString(`]}}`)
		if _, err := c.do(appendRequest(nil, c.addr, "BatchWriteItem", body.Bytes(), b)); err != nil {
			return err
		}
	}
	return nil
}
