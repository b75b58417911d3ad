// The readers: people with a browser each, who look at a page again and again.
//
//  1. Each reader has a connection of its own, kept (HTTP/1.1 over TLS), and asks by GET. What warms up is sent and not counted.
//     Then it prints "warm" and waits for a line on standard input, so that whoever runs it can look at the clock of whom it asks.
//  2. With -every each reader asks once in that time, at moments of its own, spread evenly over all readers. A request is timed from the
//     moment at which it was due: one that waited for the answer before it has waited. Without, each asks again as soon as it was answered.
//  3. Timed are the first byte of the answer and the last. Nothing is decoded meanwhile: a browser does that as it comes.
//  4. The first answer is decoded afterwards and hashed, so that whoever runs it sees that it was the right one.
//  5. An answer counts under its status code; none at all under "failed". A percentile is by nearest rank, as in the load generator.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptrace"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

type settings struct {
	url, ca, cookie, encoding string
	readers, warmups          int
	every, seconds            time.Duration
}

// Measured is what is printed, as JSON. Times are in milliseconds; bytes are those of one answer's body, on the wire and decoded.
type measured struct {
	Requests  int            `json:"requests"`
	Seconds   float64        `json:"seconds"`
	PerSecond float64        `json:"per_second"`
	P50       float64        `json:"p50_ms"`
	P95       float64        `json:"p95_ms"`
	First50   float64        `json:"first_p50_ms"`
	First95   float64        `json:"first_p95_ms"`
	Wire      int            `json:"wire_bytes"`
	Decoded   int            `json:"decoded_bytes"`
	Decoding  float64        `json:"decoding_ms"`
	Digest    string         `json:"digest"`
	Answers   map[string]int `json:"answers"`
}

type reader struct {
	client       *http.Client
	first, whole []float64
	answers      map[string]int
	encoding     string
	sample       []byte
}

func main() {
	var set settings
	flag.StringVar(&set.url, "url", "", "what to read")
	flag.StringVar(&set.ca, "ca", "", "authority of the server, PEM")
	flag.StringVar(&set.cookie, "cookie", "", "the session, NAME=VALUE")
	flag.StringVar(&set.encoding, "encoding", "", "Accept-Encoding; none if empty")
	flag.IntVar(&set.readers, "readers", 1, "readers")
	flag.IntVar(&set.warmups, "warmups", 2, "requests of each reader that are not counted")
	flag.DurationVar(&set.every, "every", 0, "how often each reader asks; 0: again as soon as it was answered")
	flag.DurationVar(&set.seconds, "for", 2*time.Second, "for how long")
	flag.Parse()
	if err := run(set, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "readers:", err)
		os.Exit(1)
	}
}

func run(set settings, out io.Writer) error {
	pool := x509.NewCertPool()
	authority, err := os.ReadFile(set.ca)
	if err != nil {
		return err
	}
	if !pool.AppendCertsFromPEM(authority) {
		return fmt.Errorf("%s: no certificate", set.ca)
	}
	readers := make([]*reader, set.readers)
	var warmed, done sync.WaitGroup
	begin := make(chan time.Time)
	for index := range readers {
		own := &reader{client: clientOf(pool), answers: map[string]int{}}
		readers[index] = own
		warmed.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			for range set.warmups {
				own.ask(set, time.Now())
			}
			own.first, own.whole, own.answers = nil, nil, map[string]int{}
			warmed.Done()
			own.read(set, <-begin, index)
		}()
	}
	warmed.Wait()
	fmt.Fprintln(out, "warm")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("nobody said when to begin: %w", err)
	}
	began := time.Now()
	for range readers {
		begin <- began
	}
	done.Wait()
	result, err := summary(readers, time.Since(began).Seconds())
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

func clientOf(pool *x509.CertPool) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, DisableCompression: true}
	never := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, Timeout: 60 * time.Second, CheckRedirect: never}
}

func (own *reader) read(set settings, began time.Time, index int) {
	end := began.Add(set.seconds)
	due := began.Add(set.every * time.Duration(index) / time.Duration(set.readers))
	for due.Before(end) {
		if set.every > 0 {
			time.Sleep(time.Until(due))
		} else {
			due = time.Now()
		}
		own.ask(set, due)
		if set.every > 0 {
			due = due.Add(set.every)
		} else {
			due = time.Now()
		}
	}
}

func (own *reader) ask(set settings, due time.Time) {
	var first time.Duration
	trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { first = time.Since(due) }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), http.MethodGet, set.url, nil)
	if err != nil {
		own.answers["failed"]++
		return
	}
	if set.cookie != "" {
		request.Header.Set("Cookie", set.cookie)
	}
	if set.encoding != "" {
		request.Header.Set("Accept-Encoding", set.encoding)
	}
	response, err := own.client.Do(request)
	if err != nil {
		own.answers["failed"]++
		return
	}
	defer response.Body.Close()
	var body bytes.Buffer
	keep := own.sample == nil
	if keep {
		_, err = body.ReadFrom(response.Body)
	} else {
		_, err = io.Copy(io.Discard, response.Body)
	}
	took := time.Since(due)
	if err != nil {
		own.answers["failed"]++
		return
	}
	if keep {
		own.sample, own.encoding = body.Bytes(), response.Header.Get("Content-Encoding")
	}
	own.first = append(own.first, float64(first.Nanoseconds())/1e6)
	own.whole = append(own.whole, float64(took.Nanoseconds())/1e6)
	own.answers[strconv.Itoa(response.StatusCode)]++
}

func summary(readers []*reader, seconds float64) (measured, error) {
	result := measured{Seconds: seconds, Answers: map[string]int{}}
	var first, whole []float64
	for _, one := range readers {
		first, whole = append(first, one.first...), append(whole, one.whole...)
		for told, count := range one.answers {
			result.Answers[told] += count
		}
	}
	slices.Sort(first)
	slices.Sort(whole)
	result.Requests, result.PerSecond = len(whole), float64(len(whole))/seconds
	result.P50, result.P95 = percentile(whole, 50), percentile(whole, 95)
	result.First50, result.First95 = percentile(first, 50), percentile(first, 95)
	sample, began := readers[0].sample, time.Now()
	decoded, err := decode(sample, readers[0].encoding)
	if err != nil {
		return result, err
	}
	result.Decoding = float64(time.Since(began).Nanoseconds()) / 1e6
	digest := sha256.Sum256(decoded)
	result.Wire, result.Decoded, result.Digest = len(sample), len(decoded), "sha256:"+hex.EncodeToString(digest[:])
	return result, nil
}

func decode(body []byte, encoding string) ([]byte, error) {
	if encoding == "" {
		return body, nil
	}
	if encoding != "gzip" {
		return nil, fmt.Errorf("an answer is encoded as %q", encoding)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unzipped)
}

// percentile is of values in order; of none it is 0.
func percentile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(share / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
