// The load generator: clients that each send one request after another (a closed loop) and time every answer.
//
//  1. Connections are kept. Over HTTP/2 all clients share one connection, as client-go does towards the API server; over HTTP/1.1 each
//     has its own, as the API server does towards webhooks.
//  2. A request is timed from before it is sent until its whole answer is read. What warms up is sent and not counted.
//     Between the two it prints "warm" and waits for a line on standard input, so that whoever runs it can look at the clock of whom it asks.
//  3. Bodies are sent in turn, over and over, or each once (-once): a digest that was never seen is seen only once.
//  4. An answer counts under its status code; of an AdmissionReview (-review) under "allowed" or "denied" too. No answer at all counts
//     under "failed".
//  5. A percentile is the least measured value that at least so many in a hundred do not exceed (nearest rank): always one that occurred.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const longestLine = 16 << 20

type settings struct {
	url, bodies, warm, ca, certificate, key string
	clients, warmups                        int
	seconds                                 float64
	once, review, http1                     bool
}

// Measured is what is printed, as JSON. Times are in milliseconds.
type measured struct {
	Requests  int            `json:"requests"`
	Seconds   float64        `json:"seconds"`
	PerSecond float64        `json:"per_second"`
	P50       float64        `json:"p50_ms"`
	P90       float64        `json:"p90_ms"`
	P99       float64        `json:"p99_ms"`
	Answers   map[string]int `json:"answers"`
	Protocol  string         `json:"protocol"`
	Sample    string         `json:"sample"`
}

type client struct {
	times    []float64
	answers  map[string]int
	protocol string
	sample   string
}

func main() {
	var set settings
	flag.StringVar(&set.url, "url", "", "where to POST")
	flag.StringVar(&set.bodies, "bodies", "", "file of JSON bodies, one a line")
	flag.StringVar(&set.warm, "warm", "", "file of JSON bodies for warming up (default: those of -bodies)")
	flag.StringVar(&set.ca, "ca", "", "authority of the server, PEM")
	flag.StringVar(&set.certificate, "certificate", "", "client certificate, PEM")
	flag.StringVar(&set.key, "key", "", "its key, PEM")
	flag.IntVar(&set.clients, "clients", 1, "clients")
	flag.IntVar(&set.warmups, "warmups", 20, "requests of each client that are not counted")
	flag.Float64Var(&set.seconds, "seconds", 2, "for how long")
	flag.BoolVar(&set.once, "once", false, "send each body once, and end with the last")
	flag.BoolVar(&set.review, "review", false, "answers are AdmissionReviews")
	flag.BoolVar(&set.http1, "http1", false, "HTTP/1.1, a connection for each client")
	flag.Parse()
	var err error
	if flag.Arg(0) == "percentiles" {
		err = percentiles(os.Stdin, os.Stdout)
	} else {
		err = run(set, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(set settings, out io.Writer) error {
	bodies, err := lines(set.bodies)
	if err != nil {
		return err
	}
	warm := bodies
	if set.warm != "" {
		if warm, err = lines(set.warm); err != nil {
			return err
		}
	}
	transport, err := transportOf(set)
	if err != nil {
		return err
	}
	sender := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var next atomic.Int64
	clients := make([]*client, set.clients)
	var warmed, done sync.WaitGroup
	begin := make(chan time.Time)
	for index := range clients {
		own := &client{answers: map[string]int{}}
		clients[index] = own
		warmed.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			for range set.warmups {
				own.send(sender, set, warm[(index+int(next.Add(1)))%len(warm)])
			}
			*own = client{answers: map[string]int{}}
			warmed.Done()
			end := (<-begin).Add(time.Duration(set.seconds * float64(time.Second)))
			for time.Now().Before(end) {
				turn := int(next.Add(1)) - 1
				if set.once && turn >= len(bodies) {
					return
				}
				own.send(sender, set, bodies[turn%len(bodies)])
			}
		}()
	}
	warmed.Wait()
	next.Store(0)
	fmt.Fprintln(out, "warm")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("nobody said when to begin: %w", err)
	}
	began := time.Now()
	for range clients {
		begin <- began
	}
	done.Wait()
	return json.NewEncoder(out).Encode(summary(clients, time.Since(began).Seconds()))
}

func (own *client) send(sender *http.Client, set settings, body []byte) {
	request, err := http.NewRequest(http.MethodPost, set.url, bytes.NewReader(body))
	if err != nil {
		own.answers["failed"]++
		own.sample = err.Error()
		return
	}
	request.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := sender.Do(request)
	if err != nil {
		own.answers["failed"]++
		own.sample = err.Error()
		return
	}
	answer, err := io.ReadAll(response.Body)
	took := time.Since(began)
	response.Body.Close()
	if err != nil {
		own.answers["failed"]++
		own.sample = err.Error()
		return
	}
	own.times = append(own.times, float64(took.Nanoseconds())/1e6)
	own.protocol = response.Proto
	told := strconv.Itoa(response.StatusCode)
	if set.review && response.StatusCode == http.StatusOK {
		told = allowed(answer)
	}
	own.answers[told]++
	if own.sample == "" {
		own.sample = string(answer[:min(len(answer), 600)])
	}
}

func allowed(answer []byte) string {
	var review struct {
		Response struct {
			Allowed *bool `json:"allowed"`
		} `json:"response"`
	}
	if err := json.Unmarshal(answer, &review); err != nil || review.Response.Allowed == nil {
		return "no review"
	}
	if *review.Response.Allowed {
		return "allowed"
	}
	return "denied"
}

func summary(clients []*client, seconds float64) measured {
	result := measured{Seconds: seconds, Answers: map[string]int{}}
	var times []float64
	for _, one := range clients {
		times = append(times, one.times...)
		for told, count := range one.answers {
			result.Answers[told] += count
		}
		if one.sample != "" {
			result.Protocol, result.Sample = one.protocol, one.sample
		}
	}
	slices.Sort(times)
	result.Requests = len(times)
	result.PerSecond = float64(len(times)) / seconds
	result.P50, result.P90, result.P99 = percentile(times, 50), percentile(times, 90), percentile(times, 99)
	return result
}

// percentile is rule 5; sorted holds the values in order. Of no values it is 0.
func percentile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(share / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// percentiles prints those of numbers on standard input, one a line: so that they can be held against known ones.
func percentiles(in io.Reader, out io.Writer) error {
	var values []float64
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		value, err := strconv.ParseFloat(scanner.Text(), 64)
		if err != nil {
			return err
		}
		values = append(values, value)
	}
	own := &client{times: values, answers: map[string]int{}}
	return errors.Join(scanner.Err(), json.NewEncoder(out).Encode(summary([]*client{own}, 1)))
}

func transportOf(set settings) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	authority, err := os.ReadFile(set.ca)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s: no certificate", set.ca)
	}
	if set.certificate != "" {
		own, err := tls.LoadX509KeyPair(set.certificate, set.key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	transport := &http.Transport{TLSClientConfig: config, MaxIdleConns: 0, MaxIdleConnsPerHost: set.clients, ForceAttemptHTTP2: !set.http1}
	return transport, nil
}

func lines(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found [][]byte
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, longestLine)
	for scanner.Scan() {
		found = append(found, bytes.Clone(scanner.Bytes()))
	}
	if len(found) == 0 {
		return nil, errors.Join(scanner.Err(), fmt.Errorf("%s: no bodies", path))
	}
	return found, scanner.Err()
}
