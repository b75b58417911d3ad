// Command reference answers how github.com/distribution/reference, the library that the
// container runtimes themselves use, reads an image reference.
//
// It reads one JSON string a line on standard input and writes one JSON object a line:
// the parts of the normalised reference, or the library's error. The tests hold signoff's
// own parser against it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	_ "crypto/sha256" // the digests that OCI registers, so that the library may check them
	_ "crypto/sha512"

	"github.com/distribution/reference"
)

type answer struct {
	Domain string `json:"domain,omitempty"`
	Path   string `json:"path,omitempty"`
	Tag    string `json:"tag,omitempty"`
	Digest string `json:"digest,omitempty"`
	Error  string `json:"error,omitempty"`
}

func read(text string) answer {
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	parts := answer{Domain: reference.Domain(named), Path: reference.Path(named)}
	if tagged, ok := named.(reference.Tagged); ok {
		parts.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		parts.Digest = digested.Digest().String()
	}
	return parts
}

func answerAll() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 0, 64*1024), 1024*1024)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	answers := json.NewEncoder(out)
	for lines.Scan() {
		var text string
		if err := json.Unmarshal(lines.Bytes(), &text); err != nil {
			return fmt.Errorf("each line holds one JSON string: %w", err)
		}
		if err := answers.Encode(read(text)); err != nil {
			return err
		}
		if err := out.Flush(); err != nil { // one answer a question, so that a caller may converse
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := answerAll(); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}
