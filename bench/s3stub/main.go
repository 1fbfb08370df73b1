// Command s3stub is a fast S3 endpoint in memory: the target that the benchmark measures clients
// against. It answers as S3 does and checks neither signatures nor checksums, so it says nothing
// about correctness. It listens on loopback only, and never uses more processors than -procs, so
// that its share of the machine is known.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("s3stub: ")
	addr := flag.String("addr", "127.0.0.1:0", "loopback address to listen on; port 0 takes a free one")
	bucketName := flag.String("bucket", "", "bucket that exists from the start")
	region := flag.String("region", "eu-west-1", "region that every bucket reports")
	procs := flag.Int("procs", 1, "processors to use at most")
	delay := flag.Duration("delay", 0, "latency added to every request")
	keep := flag.Int64("keep", 1<<20, "bodies of more bytes than this are counted and dropped; GET answers zeros")
	untilEOF := flag.Bool("until-eof", false, "exit when standard input ends, that is, with the parent")
	flag.Parse()

	if err := mustBeLoopback(*addr); err != nil {
		log.Print(err)
		os.Exit(2)
	}
	runtime.GOMAXPROCS(*procs)
	// Most of the heap is the objects themselves; collecting at every doubling would cost the
	// stub processor time that the clients should have.
	debug.SetGCPercent(400)
	if *untilEOF {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	s := newServer(serverConfig{region: *region, procs: *procs, delay: *delay, keep: *keep})
	if *bucketName != "" {
		s.store.createBucket(*bucketName)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	httpServer := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	log.Fatal(httpServer.Serve(listener))
}

func mustBeLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("-addr %q is no address; write host:port", addr)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("-addr %q is not on loopback; use 127.0.0.1", addr)
	}
	return nil
}
